#include "common/engine/request_chunks.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(5);
constexpr int kLooksForPlace = 10;  // of a millisecond: by then it shows which tier is asked
constexpr absl::Duration kPutBackPatience = absl::Milliseconds(250);
constexpr std::string_view kInMemory = "in_memory";
constexpr Tier kSlowTiers[] = {Tier::kDisk, Tier::kRedis, Tier::kObject};

std::string_view ReasonOf(ReadProblem problem) {
  switch (problem) {
    case ReadProblem::kDamaged:
      return kEncodeDamaged;
    case ReadProblem::kUnavailable:
      return kEncodeUnavailable;
    case ReadProblem::kLate:
      return kEncodeLate;
    default:
      return kEncodeMissing;
  }
}

// Not an ordinary miss, whose encoding is worth its price because it is stored: the store is in trouble, and
// the request must not pay for that beyond the bound.
bool IsTrouble(std::string_view reason) {
  return reason == kEncodeLate || reason == kEncodeUnavailable || reason == kEncodeSlowTier;
}

}  // namespace

// The chunks of one tier that one request waits for; tells the tier's speed when the last of them is there.
class RequestChunks::TierBatch {
 public:
  TierBatch(std::shared_ptr<TierSpeed> speed, const Clock* clock, Tier tier, absl::Time begin)
      : speed_(std::move(speed)), clock_(clock), tier_(tier), begin_(begin) {}

  void Add(int64_t bytes, absl::Time finished) {
    std::lock_guard lock(mutex_);
    bytes_ += bytes;
    last_ = std::max(last_, finished);
  }
  void Discard() {  // some of it came too late
    std::lock_guard lock(mutex_);
    is_discarded_ = true;
  }
  ~TierBatch() {
    if (bytes_ > 0 && !is_discarded_) speed_->ObserveRead(tier_, bytes_, last_ - begin_);
  }
  const Clock& clock() const { return *clock_; }

 private:
  const std::shared_ptr<TierSpeed> speed_;
  const Clock* const clock_;
  const Tier tier_;
  const absl::Time begin_;
  std::mutex mutex_;
  int64_t bytes_ = 0;
  bool is_discarded_ = false;
  absl::Time last_ = absl::InfinitePast();
};

struct RequestChunks::PutBackState {
  std::mutex mutex;
  std::condition_variable changed;
  int num_running = 0;
  std::vector<Fallback> failures;

  void Finish(std::optional<Fallback> failure) {
    std::lock_guard lock(mutex);
    --num_running;
    if (failure.has_value()) failures.push_back(*std::move(failure));
    changed.notify_all();
  }
};

RequestChunks::RequestChunks(const LoadMachinery& machinery, const Runtime& runtime,
                             const PreparedPrompt& prompt, ComputeCosts costs, PutBack put_back,
                             const CancellationToken& cancellation)
    : machinery_(machinery),
      runtime_(runtime),
      prompt_(prompt),
      chunks_(prompt.chunks),
      costs_(std::move(costs)),
      put_back_(put_back),
      cancellation_(cancellation),
      prefix_kv_(prompt.prefix->kept_prefix()),
      put_back_state_(std::make_shared<PutBackState>()) {
  if (prefix_kv_ == nullptr && !prompt.prefix->ids().empty()) {
    chunks_.push_back(ResolvePrefix(prompt.prefix));
    costs_.encode.push_back(
        machinery.compute_speed->Estimate(PassKind::kEncode, EncodeOperations(chunks_.back()))
            .value_or(absl::InfiniteDuration()));
  }
  entries_.resize(chunks_.size());
  kv_.resize(chunks_.size());
  arrivals_.resize(chunks_.size());
}

RequestChunks::~RequestChunks() {
  if (loads_ != nullptr)
    for (auto& outcome : loads_->Finish())
      if (outcome.has_value() && outcome->read.hit.has_value())
        arrivals_.push_back(outcome->read.hit->arrival);
  for (const auto& arrival : arrivals_)
    if (arrival != nullptr) arrival->Abandon();
}

double RequestChunks::EncodeOperations(const ResolvedChunk& chunk) const {
  const auto behind = chunk.is_prefix ? 0 : static_cast<int64_t>(chunk.context->ids().size());
  return PassOperations(runtime_.model->config(), runtime_.model->num_layers(),
                        PassBehind(behind, chunk.num_tokens()));
}

int64_t RequestChunks::StoredBytes(const ResolvedChunk& chunk) const {
  const KvShape shape = chunk.is_prefix ? runtime_.model->kv_shape() : runtime_.chunk_shape();
  return shape.num_layers * shape.LayerBytes(chunk.num_tokens());
}

void RequestChunks::Start() {
  begin_ = Now();
  const absl::Time deadline =
      std::min(cancellation_.deadline(), begin_ + std::max(machinery_.load_timeout, kLocalPatience));
  loads_ = machinery_.loader->Start(chunks_, deadline);
  const std::vector<bool> pending = loads_->Pending();
  LoadPlanInput input{.costs = costs_};
  for (size_t i = 0; i < pending.size(); ++i) {
    input.chunk_bytes.push_back(pending[i] ? StoredBytes(chunks_[i]) : 0);
    if (!pending[i] && costs_.is_known()) input.costs.encode[i] = absl::ZeroDuration();
  }
  for (const Tier tier : kSlowTiers) input.tiers.push_back({tier, machinery_.tier_speed->Estimate(tier)});
  plans_ = PlanLoads(input);
  std::vector<TierSet> avoid;
  for (size_t i = 0; i < plans_.size(); ++i) {
    if (!pending[i]) plans_[i] = {{}, kInMemory};
    avoid.push_back(plans_[i].avoid);
  }
  machinery_.loader->Continue(loads_, avoid);
}

absl::StatusOr<bool> RequestChunks::Collect() {
  const absl::Time begin = Now();
  CACHECLIP_RETURN_IF_ERROR(WaitForLoads());
  TakeOutcomes();
  load_duration_ += Now() - begin;
  return EncodeMissing();
}

absl::Status RequestChunks::WaitForLoads() {
  for (;;) {
    const std::vector<bool> pending = loads_->Pending();
    if (std::ranges::none_of(pending, std::identity{})) return absl::OkStatus();
    CACHECLIP_RETURN_IF_ERROR(cancellation_.Check());
    bool waits_for_local = false;
    for (size_t i = 0; i < pending.size(); ++i)
      if (pending[i] && loads_->asking(i) <= Tier::kDisk) waits_for_local = true;
    absl::Duration allowance = LoadAllowance(costs_, loads_->Missing(), machinery_.load_timeout);
    if (waits_for_local) allowance = std::max(allowance, kLocalPatience);
    const absl::Duration left = begin_ + allowance - Now();
    if (left <= absl::ZeroDuration()) return absl::OkStatus();
    loads_->WaitForChange(std::min(left, kPollInterval));
  }
}

void RequestChunks::TakeOutcomes() {
  std::map<Tier, std::shared_ptr<TierBatch>> batches;  // each lives until its last chunk has arrived
  std::map<Tier, int64_t> late_bytes;
  std::vector<std::optional<ChunkLoads::Outcome>> outcomes = loads_->Finish();
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i].has_value()) {
      fallbacks_.push_back(
          {"store", "load_late",
           loads_->asking(i) == Tier::kComputed
               ? absl::StrCat("chunk ", chunks_[i].key.ToHex(), " was still waiting for its turn")
               : absl::StrCat("chunk ", chunks_[i].key.ToHex(), " was still being read from ",
                              AbslView(TierName(loads_->asking(i))))});
      late_bytes[loads_->asking(i)] += StoredBytes(chunks_[i]);
      Miss(i, kEncodeLate);
      continue;
    }
    ReadResult& read = outcomes[i]->read;
    if (!read.hit.has_value()) {
      const bool was_avoided = read.problem == ReadProblem::kMissing && !plans_[i].avoid.empty();
      if (read.fallback.has_value()) fallbacks_.push_back(*std::move(read.fallback));
      if (read.problem == ReadProblem::kLate) late_bytes[loads_->asking(i)] += StoredBytes(chunks_[i]);
      Miss(i, was_avoided ? kEncodeSlowTier : ReasonOf(read.problem));
      continue;
    }
    const StoreHit& hit = *read.hit;
    kv_[i] = hit.chunk;
    arrivals_[i] = hit.arrival;
    if (chunks_[i].is_prefix) chunks_[i].context->KeepPrefix(prefix_kv_ = hit.chunk);
    entries_[i] = {"load", std::string(plans_[i].reason), hit.tier};
    if (hit.tier == Tier::kMemory) continue;
    auto& batch = batches[hit.tier];
    if (batch == nullptr)
      batch = std::make_shared<TierBatch>(machinery_.tier_speed, runtime_.clock, hit.tier, begin_);
    const int64_t bytes = hit.chunk->total_bytes();
    if (hit.arrival == nullptr)
      batch->Add(bytes, outcomes[i]->finished);
    else
      hit.arrival->OnEnd([batch, bytes, arrived = outcomes[i]->arrived_nanos](const absl::Status& status) {
        const int64_t nanos = *arrived;
        if (status.ok()) batch->Add(bytes, nanos != 0 ? absl::FromUnixNanos(nanos) : batch->clock().Now());
      });
  }
  for (const auto& [tier, batch] : batches) batches_[tier] = batch;
  ObserveLate(late_bytes);
  loads_ = nullptr;
}

void RequestChunks::ObserveLate(const std::map<Tier, int64_t>& late_bytes) {
  for (const auto& [tier, bytes] : late_bytes) {
    if (tier == Tier::kMemory || tier == Tier::kComputed) continue;
    machinery_.tier_speed->ObserveLate(tier, bytes, Now() - begin_);
    if (const auto batch = batches_[tier].lock(); batch != nullptr) batch->Discard();
  }
}

void RequestChunks::Miss(size_t index, std::string_view reason) {
  kv_[index] = nullptr;
  arrivals_[index] = nullptr;
  entries_[index] = {"encode", std::string(reason), Tier::kComputed, /*is_missing=*/true};
}

std::vector<bool> RequestChunks::Missing() const {
  std::vector<bool> missing;
  for (const Entry& entry : entries_) missing.push_back(entry.is_missing);
  return missing;
}

absl::StatusOr<bool> RequestChunks::EncodeMissing() {
  const auto trouble = std::ranges::find_if(
      entries_, [](const Entry& entry) { return entry.is_missing && IsTrouble(entry.reason); });
  if (trouble != entries_.end() && FullPrefillWins(costs_, Missing(), Now() - begin_)) {
    const std::string reason = trouble->reason;
    fallbacks_.push_back({"method", "full_prefill_faster",
                          absl::StrCat("stored chunks are ", reason, "; encoding them anew would take ",
                                       absl::FormatDuration(costs_.EncodeAll(Missing())), " of ",
                                       absl::FormatDuration(costs_.full_prefill), " for full prefill")});
    for (Entry& entry : entries_) entry = {"full_prefill", reason};
    return false;
  }
  const absl::Time begin = Now();
  for (size_t i = 0; i < entries_.size(); ++i)
    if (entries_[i].is_missing) CACHECLIP_RETURN_IF_ERROR(Encode(i));
  encode_duration_ += Now() - begin;
  return true;
}

absl::Status RequestChunks::Encode(size_t index) {
  const ResolvedChunk& chunk = chunks_[index];
  if (chunk.is_prefix) {
    CACHECLIP_ASSIGN_OR_RETURN(kv_[index], chunk.context->EncodePrefix(TaskPriority::kInteractive));
    prefix_kv_ = kv_[index];
    entries_[index].is_missing = false;
    StartPutBack(index);
    return absl::OkStatus();
  }
  const bool is_alone = runtime_.executor->num_waiting() == 0;
  const absl::Time begin = Now();
  CACHECLIP_ASSIGN_OR_RETURN(
      kv_[index], chunk.context->Encode(chunk.encoding, TaskPriority::kInteractive, cancellation_));
  entries_[index].is_missing = false;
  if (is_alone) machinery_.compute_speed->Observe(PassKind::kEncode, EncodeOperations(chunk), Now() - begin);
  if (put_back_ == PutBack::kAlways || (put_back_ == PutBack::kIfById && chunk.by_id)) StartPutBack(index);
  return absl::OkStatus();
}

// In the background: a store that hangs must not hold up the answer.
void RequestChunks::StartPutBack(size_t index) {
  const auto state = put_back_state_;
  {
    std::lock_guard lock(state->mutex);
    ++state->num_running;
  }
  const auto failure = [key = chunks_[index].key](const absl::Status& status) {
    return Fallback{"store", "write_failed", absl::StrCat("chunk ", key.ToHex(), ": ", status.message())};
  };
  const bool is_queued = machinery_.put_backs->Add(
      kv_[index]->total_bytes(), [state, failure, store = runtime_.store, chunk = kv_[index],
                                  group = chunks_[index].context->record().namespace_name] {
        const absl::Status status = store->PutInGroup(chunk, group);
        state->Finish(status.ok() ? std::nullopt : std::optional(failure(status)));
      });
  if (!is_queued) state->Finish(failure(absl::ResourceExhaustedError("too many chunks wait to be stored")));
}

bool RequestChunks::has_arrivals() const {
  return std::ranges::any_of(arrivals_, [](const auto& arrival) { return arrival != nullptr; });
}

std::vector<bool> RequestChunks::NotArrived() const {
  std::vector<bool> coming;
  for (const auto& arrival : arrivals_)
    coming.push_back(arrival != nullptr && !arrival->WaitForAll(absl::InfinitePast()).ok());
  return coming;
}

absl::Time RequestChunks::LayerDeadline() const {
  return std::min(cancellation_.deadline(),
                  begin_ + LoadAllowance(costs_, NotArrived(), machinery_.load_timeout));
}

absl::Duration RequestChunks::SelectorPatience() const {
  if (loads_ == nullptr || !costs_.is_known()) return absl::InfiniteDuration();
  std::vector<bool> pending = loads_->Pending();
  bool is_remote = false;
  for (int look = 0; look < kLooksForPlace && !is_remote && std::ranges::any_of(pending, std::identity{});
       ++look) {
    if (look > 0) loads_->WaitForChange(absl::Milliseconds(1));
    pending = loads_->Pending();
    for (size_t i = 0; i < pending.size(); ++i)
      is_remote |= pending[i] && (loads_->asking(i) == Tier::kRedis || loads_->asking(i) == Tier::kObject);
  }
  const absl::Duration left =
      begin_ + LoadAllowance(costs_, loads_->Missing(), machinery_.load_timeout) - Now();
  return std::max(left, is_remote ? absl::ZeroDuration() : kLocalPatience);
}

absl::Duration RequestChunks::RemainingLoad() const {
  const std::vector<bool> coming = NotArrived();
  std::map<Tier, int64_t> bytes;
  for (size_t i = 0; i < coming.size(); ++i)
    if (coming[i]) bytes[entries_[i].tier] += kv_[i]->total_bytes();
  absl::Duration longest;
  for (const auto& [tier, tier_bytes] : bytes)
    longest = std::max(longest, machinery_.tier_speed->Estimate(tier).Predict(tier_bytes));
  return std::max(absl::ZeroDuration(), begin_ + longest - Now());
}

absl::StatusOr<bool> RequestChunks::Repair() {
  CACHECLIP_RETURN_IF_ERROR(cancellation_.Check());
  std::map<Tier, int64_t> late_bytes;
  const bool is_time_up = Now() >= LayerDeadline();
  for (size_t i = 0; i < arrivals_.size(); ++i) {
    if (arrivals_[i] == nullptr) continue;
    const absl::Status status = arrivals_[i]->WaitForAll(absl::InfinitePast());
    const bool is_late = absl::IsDeadlineExceeded(status);
    if (is_late && !is_time_up) continue;  // another chunk's failure is no reason to give this one up
    const std::shared_ptr<ChunkArrival> arrival = std::move(arrivals_[i]);
    if (status.ok()) continue;
    arrival->Abandon();
    const bool is_damaged = absl::IsDataLoss(status) || absl::IsNotFound(status);
    if (is_late) late_bytes[entries_[i].tier] += kv_[i]->total_bytes();
    fallbacks_.push_back({"store",
                          is_late      ? "load_late"
                          : is_damaged ? "chunk_corrupt"
                                       : "store_unavailable",
                          absl::StrCat("chunk ", chunks_[i].key.ToHex(), ": ", status.message())});
    Miss(i, is_late ? kEncodeLate : is_damaged ? kEncodeDamaged : kEncodeUnavailable);
  }
  ObserveLate(late_bytes);
  return EncodeMissing();
}

void RequestChunks::Report(Usage& usage) {
  {
    std::unique_lock lock(put_back_state_->mutex);
    put_back_state_->changed.wait_for(lock, absl::ToChronoNanoseconds(kPutBackPatience),
                                      [this] { return put_back_state_->num_running == 0; });
    for (Fallback& failure : put_back_state_->failures) fallbacks_.push_back(std::move(failure));
    put_back_state_->failures.clear();
  }
  std::map<std::pair<std::string, std::string>, int64_t> decisions;
  if (chunks_.size() == prompt_.chunks.size() && prefix_kv_ != nullptr)  // it was kept
    usage.cached_tokens[Tier::kMemory] += prefix_kv_->num_tokens();
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    const int32_t num_tokens = chunks_[i].num_tokens();
    if (chunks_[i].is_prefix) {
      if (entry.decision == "load") usage.cached_tokens[entry.tier] += num_tokens;
      continue;
    }
    ++decisions[{entry.decision, entry.reason}];
    if (entry.decision == "encode") usage.reencoded_tokens += num_tokens;
    if (entry.decision == "load") usage.cached_tokens[entry.tier] += num_tokens;
  }
  for (const auto& [decision, count] : decisions)
    usage.load_decisions.push_back({decision.first, decision.second, count});
  for (Fallback& fallback : fallbacks_) usage.fallbacks.push_back(std::move(fallback));
  fallbacks_.clear();
  usage.stage_durations[Stage::kLoad] += load_duration_;
  if (encode_duration_ > absl::ZeroDuration()) usage.stage_durations[Stage::kEncode] += encode_duration_;
}

}  // namespace cacheclip
