#include "common/engine/chunk_loader.h"

#include <utility>

namespace cacheclip {

ChunkLoads::ChunkLoads(std::vector<ResolvedChunk> chunks, absl::Time deadline, const Clock* clock)
    : chunks_(std::move(chunks)),
      deadline_(deadline),
      clock_(clock),
      asked_(chunks_.size()),
      outcomes_(chunks_.size()) {
  for (std::atomic<Tier>& tier : asked_) tier = Tier::kComputed;
}

std::vector<bool> ChunkLoads::Pending() const {
  std::lock_guard lock(mutex_);
  std::vector<bool> pending;
  for (const auto& outcome : outcomes_) pending.push_back(!outcome.has_value());
  return pending;
}

std::vector<bool> ChunkLoads::Missing() const {
  std::lock_guard lock(mutex_);
  std::vector<bool> missing;
  for (const auto& outcome : outcomes_)
    missing.push_back(!outcome.has_value() || !outcome->read.hit.has_value());
  return missing;
}

void ChunkLoads::WaitForChange(absl::Duration at_most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(at_most), [this] { return num_settled_ > num_seen_; });
  num_seen_ = num_settled_;
}

std::vector<std::optional<ChunkLoads::Outcome>> ChunkLoads::Finish() {
  std::lock_guard lock(mutex_);
  is_finished_ = true;
  return std::move(outcomes_);
}

bool ChunkLoads::IsFinished() const {
  std::lock_guard lock(mutex_);
  return is_finished_;
}

void ChunkLoads::Settle(size_t index, ReadResult read) {
  std::shared_ptr<std::atomic<int64_t>> arrived_nanos;
  if (read.hit.has_value() && read.hit->arrival != nullptr) {
    // Noted when it happens: whoever looks later, may look much later.
    arrived_nanos = std::make_shared<std::atomic<int64_t>>(0);
    read.hit->arrival->OnEnd([arrived_nanos, clock = clock_](const absl::Status&) {
      *arrived_nanos = absl::ToUnixNanos(clock->Now());
    });
  }
  {
    std::lock_guard lock(mutex_);
    if (!is_finished_) {
      outcomes_[index] = Outcome{std::move(read), clock_->Now(), std::move(arrived_nanos)};
      ++num_settled_;
      changed_.notify_all();
      return;
    }
  }
  if (read.hit.has_value() && read.hit->arrival != nullptr) read.hit->arrival->Abandon();
}

ChunkLoader::ChunkLoader(const ChunkSource* source, const Clock* clock)
    : source_(source),
      clock_(clock),
      threads_({.max_bytes = 1, .max_tasks = kMaxWaitingLoads, .num_threads = kLoadThreads}) {}

std::shared_ptr<ChunkLoads> ChunkLoader::Start(std::vector<ResolvedChunk> chunks, absl::Time deadline) {
  std::shared_ptr<ChunkLoads> loads(new ChunkLoads(std::move(chunks), deadline, clock_));
  const GetOptions memory_only{.deadline = deadline, .avoid = {Tier::kDisk, Tier::kRedis, Tier::kObject}};
  for (size_t i = 0; i < loads->chunks_.size(); ++i) {
    ReadResult read = source_->Read(loads->chunks_[i], memory_only);
    if (read.problem != ReadProblem::kMissing) loads->Settle(i, std::move(read));
  }
  return loads;
}

void ChunkLoader::Continue(const std::shared_ptr<ChunkLoads>& loads, const std::vector<TierSet>& avoid) {
  const std::vector<bool> pending = loads->Pending();
  for (size_t i = 0; i < pending.size(); ++i) {
    if (!pending[i]) continue;
    const GetOptions options{.deadline = loads->deadline_,
                             .accept_arriving = !loads->chunks_[i].is_prefix,
                             .avoid = avoid[i],
                             .now_asking = &loads->asked_[i]};
    const bool is_queued = threads_.Add(0, [this, loads, i, options] {
      if (!loads->IsFinished()) loads->Settle(i, source_->Read(loads->chunks_[i], options));
    });
    if (!is_queued) loads->Settle(i, {.problem = ReadProblem::kUnavailable});
  }
}

}  // namespace cacheclip
