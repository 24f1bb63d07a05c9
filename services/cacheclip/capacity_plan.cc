#include "services/cacheclip/capacity_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/kv/chunk_format.h"

namespace cacheclip {
namespace {

constexpr int64_t kMaxTokens = int64_t{1} << 40;
constexpr int64_t kMaxParameters = int64_t{1} << 44;
constexpr double kMaxPlanBytes = 1e18;  // an exabyte: beyond it the question was wrong
constexpr double kMaxRate = 1e9;
constexpr int64_t kWeightBytes = 2;                  // bf16
constexpr int64_t kProgramBytes = int64_t{1} << 30;  // libraries, buffers, fragmentation
constexpr int64_t kRedisEntryBytes = 400;            // key, table entry and expiry of one slice
constexpr int64_t kRedisStringBytes = 16;            // header and terminator of the value
constexpr double kDecodeShareOfPrefill = 0.1;
constexpr double kAuxiliaryLayers = 3.0 / 4;  // the primary, truncated

struct Bound {
  std::string_view field;
  double value, minimum, maximum;
};

absl::Status CheckBounds(const CapacityInput& in) {
  const Bound bounds[] = {
      {"parameters", static_cast<double>(in.num_parameters), 1, kMaxParameters},
      {"documents", static_cast<double>(in.num_documents), 1, kMaxTokens},
      {"tokens", static_cast<double>(in.corpus_tokens), static_cast<double>(in.num_documents), kMaxTokens},
      {"chunk_tokens", static_cast<double>(in.chunk_tokens), 1, kMaxChunkTokens},
      {"prefix_tokens", static_cast<double>(in.prefix_tokens), 0, kMaxChunkTokens},
      {"questions_per_second", in.questions_per_second, 0, kMaxRate},
      {"chunks_per_question", static_cast<double>(in.chunks_per_question), 1, 4096},
      {"question_tokens", static_cast<double>(in.question_tokens), 1, kMaxChunkTokens},
      {"answer_tokens", static_cast<double>(in.answer_tokens), 0, kMaxChunkTokens},
      {"budget", in.budget, 0, 1},
      {"hot_share", in.hot_share, 1e-9, 1},
      {"hot_hits", in.hot_hits, in.hot_share, 1},
      {"prefill_tokens_per_second", in.prefill_tokens_per_second, 1e-3, kMaxRate},
      {"decode_tokens_per_second", in.decode_tokens_per_second, 0, kMaxRate},
      {"selection_seconds", in.selection_seconds, 0, 3600},
      {"utilisation", in.utilisation, 0.01, 1},
      {"spare_replicas", static_cast<double>(in.spare_replicas), 0, 1000},
      {"ingest_hours", in.ingest_hours, 1e-3, 1e6},
      {"memory_bytes", static_cast<double>(in.max_memory_bytes), 0, kMaxPlanBytes},
      {"disk_bytes", static_cast<double>(in.max_disk_bytes), 0, kMaxPlanBytes},
      {"redis_bytes", static_cast<double>(in.max_redis_bytes), 0, kMaxPlanBytes},
      {"max_running_requests", static_cast<double>(in.max_running_requests), 1, 1024},
  };
  for (const Bound& bound : bounds) {
    if (bound.value >= bound.minimum && bound.value <= bound.maximum) continue;
    return InvalidField(bound.field, absl::StrCat("must be between ", bound.minimum, " and ", bound.maximum,
                                                  ", got ", bound.value));
  }
  return absl::OkStatus();
}

int64_t CeilDivide(int64_t value, int64_t by) { return (value + by - 1) / by; }

struct ChunkSize {
  int64_t tokens = 0, bytes = 0, slices = 0, redis_bytes = 0;
};

// The average chunk, laid out by the byte format itself.
absl::StatusOr<ChunkSize> AverageChunk(const CapacityInput& in, int64_t num_chunks) {
  ChunkHeader header;
  header.shape = in.kv_shape;
  header.prefix_ids.resize(in.prefix_tokens);
  header.chunk_ids.resize(CeilDivide(in.corpus_tokens, num_chunks));
  header.token_spans.resize(header.chunk_ids.size());
  const int64_t tokens = header.num_tokens();
  CACHECLIP_ASSIGN_OR_RETURN(const ChunkPreamble preamble, PlanChunk(std::move(header)));
  ChunkSize size{.tokens = tokens,
                 .bytes = preamble.total_bytes,
                 .slices = static_cast<int64_t>(preamble.slices.size()),
                 .redis_bytes = RedisBytes(preamble.payload_offset)};
  for (const ChunkSlice& slice : preamble.slices) size.redis_bytes += RedisBytes(slice.num_bytes);
  return size;
}

// Fills the tiers from the fastest on. A tier holds the most used chunks, those of faster tiers among them,
// because hits are promoted by copying.
class TierFiller {
 public:
  TierFiller(const CapacityInput& in, const ChunkSize& chunk, CapacityPlan* plan)
      : in_(in), chunk_(chunk), plan_(plan) {}

  // Wants to hold `wanted_share` of the chunks at `chunk_bytes` each, in at most `max_bytes`.
  void Add(std::string tier, double wanted_share, int64_t chunk_bytes, int64_t max_bytes) {
    if (max_bytes <= 0) return;
    const double all = static_cast<double>(plan_->num_chunks) * static_cast<double>(chunk_bytes);
    const double bytes = std::min(wanted_share * all, static_cast<double>(max_bytes));
    TierNeed need{.tier = std::move(tier), .bytes = static_cast<int64_t>(std::ceil(bytes))};
    need.share_of_chunks = bytes / all;
    const double hits = HitShare(in_, need.share_of_chunks);
    need.share_of_lookups = std::max(0.0, hits - served_);
    served_ = std::max(served_, hits);
    const double lookups = in_.questions_per_second * static_cast<double>(in_.chunks_per_question);
    need.bytes_per_second = lookups * need.share_of_lookups * static_cast<double>(chunk_.bytes);
    plan_->tiers.push_back(std::move(need));
  }

  double served() const { return served_; }

 private:
  const CapacityInput& in_;
  const ChunkSize& chunk_;
  CapacityPlan* plan_;
  double served_ = 0;  // share of look-ups so far
};

void FillTiers(const CapacityInput& in, const ChunkSize& chunk, CapacityPlan* plan) {
  TierFiller filler(in, chunk, plan);
  filler.Add("memory", in.hot_share, chunk.bytes, in.max_memory_bytes);
  filler.Add("disk", 1, chunk.bytes, in.max_disk_bytes);
  // With an object store behind it Redis needs the hot chunks only.
  filler.Add("redis", in.has_object_store ? in.hot_share : 1, chunk.redis_bytes, in.max_redis_bytes);
  if (in.has_object_store) filler.Add("object", 1, chunk.bytes, static_cast<int64_t>(kMaxPlanBytes));
  plan->recomputed_lookups = std::max(0.0, 1 - filler.served());
  for (const TierNeed& need : plan->tiers)
    if (need.tier == "redis" || need.tier == "object")
      plan->network_bytes_per_second += need.bytes_per_second;
}

int64_t Replicas(double busy_replicas, const CapacityInput& in) {
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(busy_replicas / in.utilisation))) +
         in.spare_replicas;
}

void CountReplicas(const CapacityInput& in, const ChunkSize& chunk, CapacityPlan* plan) {
  const double context = static_cast<double>(in.chunks_per_question * chunk.tokens);
  const double question = static_cast<double>(in.question_tokens);
  plan->decode_tokens_per_second = in.decode_tokens_per_second > 0
                                       ? in.decode_tokens_per_second
                                       : in.prefill_tokens_per_second * kDecodeShareOfPrefill;
  plan->selection_seconds = in.selection_seconds > 0
                                ? in.selection_seconds
                                : question * kAuxiliaryLayers / in.prefill_tokens_per_second;
  const double computed = context * in.budget + context * plan->recomputed_lookups + question;
  const double prefill_seconds = computed / in.prefill_tokens_per_second;
  plan->first_token_seconds = plan->selection_seconds + prefill_seconds;
  // While the selector works, the generation replica computes for others.
  plan->question_seconds =
      prefill_seconds + static_cast<double>(in.answer_tokens) / plan->decode_tokens_per_second;
  plan->generation_replicas = Replicas(in.questions_per_second * plan->question_seconds, in);
  plan->selector_replicas = Replicas(in.questions_per_second * plan->selection_seconds, in);
  const double encode_seconds = static_cast<double>(in.corpus_tokens) / in.prefill_tokens_per_second;
  plan->ingestion_replicas = Replicas(encode_seconds / (in.ingest_hours * 3600), in);
}

void SizePods(const CapacityInput& in, const ChunkSize& chunk, CapacityPlan* plan) {
  const int64_t prompt_tokens =
      in.prefix_tokens + in.chunks_per_question * chunk.tokens + in.question_tokens + in.answer_tokens;
  KvShape session = in.kv_shape;  // int8 is for storing only
  if (session.HasScales()) session.dtype = KvDtype::kBf16;
  plan->request_kv_bytes = in.max_running_requests * prompt_tokens * session.BytesPerToken();
  plan->generation_pod_bytes = in.num_parameters * kWeightBytes + plan->request_kv_bytes + kProgramBytes;
  for (const TierNeed& need : plan->tiers)
    if (need.tier == "memory") plan->generation_pod_bytes += need.bytes;
}

}  // namespace

double HitShare(const CapacityInput& input, double share_of_chunks) {
  if (share_of_chunks >= 1) return 1;
  if (share_of_chunks <= input.hot_share) return input.hot_hits * share_of_chunks / input.hot_share;
  return input.hot_hits + (1 - input.hot_hits) * (share_of_chunks - input.hot_share) / (1 - input.hot_share);
}

int64_t RedisBytes(int64_t value_bytes) {
  // Four size classes between one power of two and the next.
  const auto bytes = static_cast<uint64_t>(value_bytes + kRedisStringBytes);
  const uint64_t step = std::max<uint64_t>(std::bit_floor(bytes - 1) / 4, 16);
  return static_cast<int64_t>((bytes + step - 1) / step * step) + kRedisEntryBytes;
}

absl::StatusOr<CapacityPlan> PlanCapacity(const CapacityInput& input) {
  CACHECLIP_RETURN_IF_ERROR(ValidateKvShape(input.kv_shape));
  CACHECLIP_RETURN_IF_ERROR(CheckBounds(input));
  CapacityPlan plan;
  plan.bytes_per_token = input.kv_shape.BytesPerToken();
  plan.num_chunks = input.num_documents *
                    CeilDivide(CeilDivide(input.corpus_tokens, input.num_documents), input.chunk_tokens);
  CACHECLIP_ASSIGN_OR_RETURN(const ChunkSize chunk, AverageChunk(input, plan.num_chunks));
  plan.bytes_per_chunk = chunk.bytes;
  plan.slices_per_chunk = chunk.slices;
  const double corpus_bytes = static_cast<double>(plan.num_chunks) * static_cast<double>(chunk.redis_bytes);
  if (corpus_bytes > kMaxPlanBytes)
    return InvalidField("tokens", absl::StrCat("their KV would take ", corpus_bytes, " bytes"));
  plan.corpus_bytes = plan.num_chunks * chunk.bytes;
  FillTiers(input, chunk, &plan);
  CountReplicas(input, chunk, &plan);
  SizePods(input, chunk, &plan);
  return plan;
}

}  // namespace cacheclip
