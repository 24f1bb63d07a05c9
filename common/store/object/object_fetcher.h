// The fetching threads of the object tier: a bounded queue of chunks and a fixed number of threads that open
// them and read their ranges, several threads to a chunk. The caller of Fetch() only waits, and never beyond
// its deadline, even when all threads hang in a dead file system; further callers are then refused at once.
// Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/store/object/object_fetch.h"

namespace cacheclip {

struct ObjectFetcherOptions {
  int64_t max_chunk_bytes = 0;
  int64_t max_fetching_bytes = 0;
  int64_t first_read_bytes = 0;
  int64_t range_bytes = 0;
  int num_threads = 1;
  int max_threads_per_chunk = 1;
  int max_queued_chunks = 1;
  Clock* clock = RealClock();
  std::function<void(const ChunkKey& key, const absl::Status& reason)> on_damaged;
};

class ObjectFetcher {
 public:
  ObjectFetcher(ObjectClient* client, ObjectFetcherOptions options);  // `client` outlives it
  ~ObjectFetcher();                                                   // Stop()

  // Returns once the header is there and checked; the layers follow through the arrival. `limit`: how long
  // all of it may take. DATA_LOSS after on_damaged. UNAVAILABLE: too much under way. With `changes_nothing`
  // neither a use nor a damaged chunk has consequences.
  absl::StatusOr<ObjectFetch::Opened> Fetch(const ChunkKey& key, absl::Duration limit,
                                            bool changes_nothing = false);

  // Cancels what is under way, waits for the threads and fails what was waiting. Once; not by two threads.
  void Stop();

 private:
  struct Job {
    std::shared_ptr<ObjectFetch> fetch;
    bool is_opened = false;
  };

  void Work();
  void Open(const std::shared_ptr<ObjectFetch>& fetch);
  absl::Status Reserve(int64_t bytes);

  ObjectClient& client_;
  const ObjectFetcherOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  int num_waiting_chunks_ = 0;  // not opened yet
  int64_t fetching_bytes_ = 0;
  std::atomic<bool> is_stopping_{false};
  std::vector<std::thread> threads_;
};

}  // namespace cacheclip
