// Reads the chunks of requests side by side, on a bounded number of threads. What is in memory is there when
// Start() returns; the rest comes in while the request does other things. A request takes what has come when
// it has waited long enough and abandons the rest: late answers are dropped, chunks still arriving are told
// that nobody waits. Thread-safe; a ChunkLoads belongs to one request. The source must outlive the loader.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/engine/chunk_source.h"
#include "common/store/background_queue.h"
#include "common/store/chunk_store.h"

namespace cacheclip {

inline constexpr int kLoadThreads = 16;              // reads at one moment, of all requests
inline constexpr int64_t kMaxWaitingLoads = 16'384;  // beyond: the read fails as UNAVAILABLE

class ChunkLoads {
 public:
  struct Outcome {
    ReadResult read;
    absl::Time finished;
    // Of a chunk that is arriving: when its last layer came, in Unix nanoseconds; 0 before. Null: complete.
    std::shared_ptr<std::atomic<int64_t>> arrived_nanos;
  };

  // One entry per chunk: whether its outcome is still to come; and which tier is being asked for it
  // (kComputed: none yet).
  std::vector<bool> Pending() const;
  // One entry per chunk: whether it is pending or could not be read, so that it would have to be encoded now.
  std::vector<bool> Missing() const;
  Tier asking(size_t index) const { return asked_[index]; }

  // Returns when another outcome has come since the last call, or after `at_most`.
  void WaitForChange(absl::Duration at_most);

  // One entry per chunk, nullopt where nothing has come. Nothing comes after it.
  std::vector<std::optional<Outcome>> Finish();

 private:
  friend class ChunkLoader;
  ChunkLoads(std::vector<ResolvedChunk> chunks, absl::Time deadline, const Clock* clock);
  void Settle(size_t index, ReadResult read);
  bool IsFinished() const;

  const std::vector<ResolvedChunk> chunks_;
  const absl::Time deadline_;
  const Clock* const clock_;
  std::vector<std::atomic<Tier>> asked_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<Outcome>> outcomes_;
  int num_settled_ = 0, num_seen_ = 0;
  bool is_finished_ = false;
};

class ChunkLoader {
 public:
  ChunkLoader(const ChunkSource* source, const Clock* clock);

  // Looks into memory at once, without the other threads.
  std::shared_ptr<ChunkLoads> Start(std::vector<ResolvedChunk> chunks, absl::Time deadline);
  // Has the other threads read what memory did not hold. `avoid`: per chunk, the tiers not worth asking.
  void Continue(const std::shared_ptr<ChunkLoads>& loads, const std::vector<TierSet>& avoid);

 private:
  const ChunkSource* const source_;
  const Clock* const clock_;
  BackgroundQueue threads_;
};

}  // namespace cacheclip
