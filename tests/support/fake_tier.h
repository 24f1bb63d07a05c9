// A tier in memory that a test can break: answers can be replaced by an error, held at a gate, or given layer
// by layer. Counts what it is asked. Thread-safe; faults may be switched while other threads ask.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/store/memory_chunk_store.h"

namespace cacheclip {

class FakeTier : public MemoryChunkStore {
 public:
  explicit FakeTier(MemoryChunkStoreOptions options = {}) : MemoryChunkStore(std::move(options)) {}

  // Faults. OK = none.
  void FailWith(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    failure_ = status;
  }
  void FailPutsWith(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    put_failure_ = status;
  }
  std::atomic<bool> closed{false};       // Get() holds what it has back until this is false
  std::atomic<bool> puts_closed{false};  // the same for what is put
  std::atomic<bool> arriving{false};     // Get() returns at once; layers come when the test publishes them

  std::atomic<int> num_gets{0}, num_puts{0}, num_deletes{0};

  // The arrivals given so far, oldest first.
  std::vector<std::shared_ptr<ChunkArrival>> arrivals() const {
    std::lock_guard lock(mutex_);
    return arrivals_;
  }

  using ChunkStore::Get;
  absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) override {
    auto hit = MemoryChunkStore::Get(key, options);
    ++num_gets;
    while (closed && hit.ok()) std::this_thread::yield();
    std::lock_guard lock(mutex_);
    if (!failure_.ok()) return failure_;
    if (hit.ok() && arriving && options.accept_arriving) {
      hit->arrival = std::make_shared<ChunkArrival>(hit->chunk->shape().num_layers);
      arrivals_.push_back(hit->arrival);
    }
    return hit;
  }
  absl::Status PutInGroup(std::shared_ptr<const EncodedChunk> chunk, std::string_view group) override {
    ++num_puts;
    while (puts_closed) std::this_thread::yield();
    {
      std::lock_guard lock(mutex_);
      if (!failure_.ok()) return failure_;
      if (!put_failure_.ok()) return put_failure_;
    }
    return MemoryChunkStore::PutInGroup(std::move(chunk), group);
  }
  absl::Status Delete(const ChunkKey& key) override {
    ++num_deletes;
    {
      std::lock_guard lock(mutex_);
      if (!failure_.ok()) return failure_;
    }
    return MemoryChunkStore::Delete(key);
  }
  absl::StatusOr<bool> Contains(const ChunkKey& key) override {
    {
      std::lock_guard lock(mutex_);
      if (!failure_.ok()) return failure_;
    }
    return MemoryChunkStore::Contains(key);
  }
  bool Holds(const ChunkKey& key) { return MemoryChunkStore::Contains(key).value(); }

 private:
  mutable std::mutex mutex_;
  absl::Status failure_, put_failure_;
  std::vector<std::shared_ptr<ChunkArrival>> arrivals_;
};

}  // namespace cacheclip
