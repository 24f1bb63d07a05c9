// Chunks that local tiers hold and remote tiers still have to be given: write mode `back`. A journal folder
// names them (one empty file per chunk, "<key>.<bytes>"), so that the queue survives a restart; their bytes
// stay in the local tiers, which is why the queue is bounded in bytes as well as in chunks. One thread drains
// it: what fails is tried again after a delay that doubles up to max_retry_delay, for ever, since the tier
// may be down for hours. Several processes may share a folder: each drains what it found at open and what it
// added, and writing a chunk twice changes nothing. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/kv/chunk_key.h"

namespace cacheclip {

struct WriteBackOptions {
  std::string folder;                    // created if missing
  int64_t max_bytes = int64_t{1} << 30;  // of queued chunks; well below what the disk tier holds
  int64_t max_chunks = 4096;             // bounds the folder's scan beside the bytes
  absl::Duration first_retry_delay = absl::Milliseconds(100);
  absl::Duration max_retry_delay = absl::Seconds(30);
};

struct WriteBackStats {
  int64_t queued_bytes = 0, queued_chunks = 0;  // now
  int64_t written = 0, retries = 0;             // since start
  int64_t lost = 0;                             // gone from the local tiers before they could be written
  int64_t refused = 0;                          // did not fit; the caller wrote through
};

class WriteBackQueue {
 public:
  // Gives the chunk to the remote tiers. NOT_FOUND: no local tier holds it any longer; other errors: later.
  using WriteFunction = std::function<absl::Status(const ChunkKey& key)>;

  // Takes up what the folder names, also beyond the bounds. Nothing is written before Start().
  static absl::StatusOr<std::unique_ptr<WriteBackQueue>> Open(WriteBackOptions options, WriteFunction write);
  ~WriteBackQueue();  // what is queued stays in the folder
  void Start();       // once

  // RESOURCE_EXHAUSTED: the queue is full. Other errors: the journal cannot be written. OK if queued already;
  // one that is being written at this moment is written once more.
  absl::Status Add(const ChunkKey& key, int64_t bytes);
  void Forget(const ChunkKey& key);
  bool IsQueued(const ChunkKey& key) const;

  // Tries at once, also what failed a moment ago, and waits until nothing is queued or being written. False:
  // not by then.
  bool WaitUntilEmpty(absl::Duration timeout);

  WriteBackStats stats() const;

 private:
  WriteBackQueue(WriteBackOptions options, WriteFunction write);

  absl::Status ReadFolder();
  void Loop();
  // With mutex_ held. `entry`: what the write began with; what was added since is still to be written.
  void Settle(const ChunkKey& key, int64_t entry, const absl::Status& status);
  void Erase(const ChunkKey& key);
  void Enqueue(const ChunkKey& key, int64_t bytes);
  std::string PathOf(const ChunkKey& key, int64_t bytes) const;

  const WriteBackOptions options_;
  const WriteFunction write_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  struct Entry {
    int64_t bytes = 0;
    int64_t number = 0;  // no two entries ever have the same
  };
  absl::flat_hash_map<ChunkKey, Entry> chunks_;
  std::deque<ChunkKey> order_;       // next first; may name keys that were forgotten
  std::optional<ChunkKey> writing_;  // now, without the lock
  int64_t num_entries_ = 0;          // ever
  WriteBackStats stats_;
  absl::Duration retry_delay_;  // zero: the last write succeeded
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace cacheclip
