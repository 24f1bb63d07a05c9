// Which documents of a job a worker takes next. A shard takes every n-th; a shared queue on Redis
// (redis_work_queue.h) gives each to whoever asks first, and again when a worker dies with it. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cacheclip {

struct JobState {
  int64_t total = 0, done = 0, failed = 0;  // of the whole job where it is shared, else of this worker
};

class WorkQueue {
 public:
  virtual ~WorkQueue() = default;

  enum class Answer { kItem, kWait, kFinished };  // kWait: others are at the last ones; ask again
  struct Claim {
    Answer answer = Answer::kFinished;
    int64_t index = 0;
  };
  virtual absl::StatusOr<Claim> Next() = 0;

  // Says that the item is being worked on still. To be called well within the lease.
  virtual absl::Status KeepAlive(int64_t index) = 0;

  // The item was not worked on to its end: somebody may take it at once.
  virtual absl::Status GiveBack(int64_t index) = 0;

  // The item is over; `failure` says why it failed, empty if it did not.
  virtual absl::Status Finish(int64_t index, std::string_view failure) = 0;

  virtual absl::StatusOr<JobState> State() = 0;
};

class ShardQueue : public WorkQueue {
 public:
  // Items shard - 1, shard - 1 + num_shards, … below `total`; shard is 1…num_shards.
  ShardQueue(int64_t total, int64_t shard, int64_t num_shards)
      : total_(total), num_shards_(num_shards), next_(shard - 1), size_(CountOf(total, shard, num_shards)) {}

  absl::StatusOr<Claim> Next() override;
  absl::Status KeepAlive(int64_t) override { return absl::OkStatus(); }
  absl::Status GiveBack(int64_t) override { return absl::OkStatus(); }  // the next run of this shard finds it
  absl::Status Finish(int64_t index, std::string_view failure) override;
  absl::StatusOr<JobState> State() override { return JobState{size_, done_, failed_}; }

 private:
  static int64_t CountOf(int64_t total, int64_t shard, int64_t num_shards) {
    return total < shard ? 0 : (total - shard) / num_shards + 1;
  }
  const int64_t total_, num_shards_;
  std::atomic<int64_t> next_;
  const int64_t size_;
  std::atomic<int64_t> done_{0}, failed_{0};
};

// "2/5" -> 2 and 5. INVALID_ARGUMENT naming "shard".
struct Shard {
  int64_t index = 1, count = 1;
};
absl::StatusOr<Shard> ParseShard(std::string_view text);

}  // namespace cacheclip
