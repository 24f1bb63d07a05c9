#include "common/store/redis/redis_chunk_store.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/kv/chunk_format.h"
#include "common/store/redis/chunk_keys.h"

namespace cacheclip {
namespace {

constexpr size_t kMaxWaitingTasks = 256;
constexpr size_t kHeadersPerPage = 128;
constexpr int64_t kLikelyHeaderBytes = 64 << 10;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// The header of exactly this chunk. DATA_LOSS.
absl::StatusOr<ChunkPreamble> ParseHeader(const ChunkKey& key, std::string_view header) {
  CACHECLIP_ASSIGN_OR_RETURN(ChunkPreamble preamble, ParseChunkPreamble(Bytes(header)));
  if (preamble.header.key != key || preamble.payload_offset != static_cast<int64_t>(header.size()))
    return absl::DataLossError(
        absl::StrCat("chunk ", key.ToHex(), " has the header of another one in Redis"));
  return preamble;
}

// A chunk on its way in on a fetching thread; gives its bytes back to the budget when it goes.
struct Arriving {
  std::unique_ptr<ChunkAssembler> assembler;
  ByteBudget::Reservation reservation;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RedisChunkStore>> RedisChunkStore::Make(std::shared_ptr<RedisClient> client,
                                                                       RedisChunkStoreOptions options) {
  if (options.ttl < kMinRedisTtl)
    return InvalidField("ttl", absl::StrCat("must be at least ", absl::FormatDuration(kMinRedisTtl)));
  if (options.fetching_threads < 1 || options.fetching_threads > kMaxFetchingThreads)
    return InvalidField("fetching_threads", absl::StrCat("must be 1 to ", kMaxFetchingThreads));
  if (options.max_arriving_bytes < 1) return InvalidField("max_arriving_bytes", "must be positive");
  if (options.write_timeout <= absl::ZeroDuration()) return InvalidField("write_timeout", "must be positive");
  return std::unique_ptr<RedisChunkStore>(new RedisChunkStore(std::move(client), std::move(options)));
}

RedisChunkStore::RedisChunkStore(std::shared_ptr<RedisClient> client, RedisChunkStoreOptions options)
    : client_(std::move(client)),
      options_(std::move(options)),
      scripts_(client_.get(), options_.ttl),
      budget_(options_.max_arriving_bytes),
      pool_(options_.fetching_threads, kMaxWaitingTasks) {}

RedisChunkStore::~RedisChunkStore() {
  is_stopping_ = true;
  pool_.Stop();
}

RedisCallOptions RedisChunkStore::CallOptions(absl::Time deadline) const {
  if (deadline == absl::InfiniteFuture()) deadline = absl::Now() + options_.write_timeout;
  return {.deadline = deadline, .is_idempotent = true, .retry_for = options_.retry_for};
}

absl::StatusOr<StoreHit> RedisChunkStore::Get(const ChunkKey& key, const GetOptions& options) {
  RedisCallOptions call = CallOptions(options.deadline);
  auto header = ReadHeader(key, call);
  if (!header.ok()) {
    if (absl::IsNotFound(header.status())) ++counters_.misses;
    return header.status();
  }
  auto preamble = ParseHeader(key, *header);
  if (!preamble.ok()) return Judge(key, *header, preamble.status(), options);
  CACHECLIP_ASSIGN_OR_RETURN(ByteBudget::Reservation reservation,
                             budget_.Reserve(preamble->total_bytes, options.deadline));
  CACHECLIP_ASSIGN_OR_RETURN(std::unique_ptr<ChunkAssembler> assembler,
                             ChunkAssembler::Start(*std::move(preamble), Bytes(*header)));
  StoreHit hit{.chunk = assembler->chunk(), .tier = Tier::kRedis, .arrival = assembler->arrival()};
  const auto arriving = std::make_shared<Arriving>(Arriving{std::move(assembler), std::move(reservation)});
  const GetOptions asked{.deadline = options.deadline, .changes_nothing = options.changes_nothing};
  const auto fetch = [this, arriving, asked] { return Finish(*arriving->assembler, asked); };
  if (options.accept_arriving && pool_.Add([fetch] { fetch().IgnoreError(); })) return hit;
  CACHECLIP_RETURN_IF_ERROR(fetch());
  hit.arrival = nullptr;
  return hit;
}

absl::StatusOr<std::string> RedisChunkStore::ReadHeader(const ChunkKey& key,
                                                        const RedisCallOptions& options) {
  const RedisCommand get{.args = {"GET", RedisHeaderKey(key)}, .expected_reply_bytes = kLikelyHeaderBytes};
  CACHECLIP_ASSIGN_OR_RETURN(RedisReply reply, client_->Execute(get, options));
  if (reply.is_nil()) return absl::NotFoundError(absl::StrCat("chunk ", key.ToHex(), " is not in Redis"));
  return std::move(reply.text);
}

absl::Status RedisChunkStore::Finish(ChunkAssembler& assembler, const GetOptions& options) {
  const EncodedChunk& chunk = *assembler.chunk();
  absl::Status status = FetchSlices(assembler, options.deadline);
  if (status.ok()) {
    ++counters_.hits;
    if (!options.changes_nothing) MarkUsed(chunk.key());
    return status;
  }
  const auto header = chunk.header_bytes();
  status = Judge(chunk.key(), {reinterpret_cast<const char*>(header.data()), header.size()}, status, options);
  assembler.Fail(status);
  return status;
}

absl::Status RedisChunkStore::FetchSlices(ChunkAssembler& assembler, absl::Time deadline) {
  const EncodedChunk& chunk = *assembler.chunk();
  std::vector<RedisCommand> commands(assembler.num_slices());
  for (size_t i = 0; i < commands.size(); ++i)
    commands[i] = {.args = {"GET", RedisSliceKey(chunk.key(), chunk.header_bytes(), i)},
                   .expected_reply_bytes = assembler.slice(i).num_bytes,
                   .sink = assembler.SliceSpace(i)};
  std::vector<bool> is_here(commands.size() + 1);
  absl::Status failure;
  const auto on_reply = [&](size_t index, const absl::StatusOr<RedisReply>& reply) {
    if (!reply.ok()) {
      failure = reply.status();
    } else if (reply->is_nil()) {
      failure = absl::NotFoundError(
          absl::StrCat("Redis has evicted slice ", index, " of chunk ", chunk.key().ToHex()));
    } else if (reply->sink_bytes != assembler.slice(index).num_bytes) {
      failure = absl::DataLossError(
          absl::StrCat("slice ", index, " of chunk ", chunk.key().ToHex(), " is no slice"));
    } else if (is_stopping_) {
      failure = absl::UnavailableError("the Redis tier is shutting down");
    } else if (assembler.arrival()->IsAbandoned()) {
      failure = absl::CancelledError("nobody waits for the chunk any longer");
    }
    // A retried command may answer after its successors.
    is_here[index] = failure.ok();
    while (failure.ok() && is_here[assembler.num_finished()]) failure = assembler.FinishSlice();
    return failure.ok();
  };
  client_->Stream(commands, {.deadline = deadline, .is_idempotent = true, .retry_for = options_.retry_for},
                  on_reply);
  return failure;
}

absl::Status RedisChunkStore::Judge(const ChunkKey& key, std::string_view header, const absl::Status& failure,
                                    const GetOptions& options) {
  const bool is_evicted = absl::IsNotFound(failure);
  if (is_evicted) ++counters_.misses;
  if (absl::IsDataLoss(failure)) ++counters_.corrupt;
  if ((!is_evicted && !absl::IsDataLoss(failure)) || options.changes_nothing) return failure;
  const RedisCallOptions call = CallOptions(options.deadline);
  const auto hidden = scripts_.Hide(key, RedisHeaderTail(Bytes(header)), call);
  if (is_evicted && hidden.ok() && !hidden->empty()) ++counters_.evictions;
  Discard(key, header, call);
  return failure;
}

absl::StatusOr<bool> RedisChunkStore::Contains(const ChunkKey& key) {
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply,
                             client_->Execute({.args = {"EXISTS", RedisHeaderKey(key)}}, CallOptions()));
  return reply.integer == 1;
}

void RedisChunkStore::MarkUsed(const ChunkKey& key) {
  if (IsDueForRenewal(key))
    pool_.Add([this, key] { RenewIfPresent(key, CallOptions()).IgnoreError(); });  // a hint: may be dropped
}

StoreStats RedisChunkStore::stats() const {
  return {.hits = counters_.hits,
          .misses = counters_.misses,
          .puts = counters_.puts,
          .evictions = counters_.evictions,
          .corrupt = counters_.corrupt,
          .rejected_puts = counters_.rejected_puts,
          .bytes = StoreStats::kUnknown,
          .objects = StoreStats::kUnknown};
}

absl::Status RedisChunkStore::ForEach(const Visitor& visitor) {
  absl::flat_hash_set<ChunkKey> visited;  // SCAN may return a key twice
  std::vector<ChunkKey> page;
  absl::Status failure;
  const auto visit_page = [&] {
    std::vector<RedisCommand> gets;
    for (const ChunkKey& key : page)
      gets.push_back({.args = {"GET", RedisHeaderKey(key)}, .expected_reply_bytes = kLikelyHeaderBytes});
    const auto replies = client_->Pipeline(gets, CallOptions());
    for (size_t i = 0; i < page.size(); ++i) {
      if (!replies[i].ok()) {
        failure = replies[i].status();
        return false;
      }
      const auto preamble = ParseHeader(page[i], replies[i]->text);  // gone or damaged: not held
      if (preamble.ok()) visitor(page[i], preamble->total_bytes);
    }
    page.clear();
    return true;
  };
  CACHECLIP_RETURN_IF_ERROR(client_->Scan(kRedisHeaderPattern, [&](const std::string& name) {
    const auto key = ChunkOfRedisHeaderKey(name);
    if (key.has_value() && visited.insert(*key).second) page.push_back(*key);
    return page.size() < kHeadersPerPage || visit_page();
  }));
  if (failure.ok()) visit_page();
  return failure;
}

}  // namespace cacheclip
