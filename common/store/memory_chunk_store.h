// The memory tier: chunks in a hash map with a least-recently-used list, bounded by bytes and by objects.
// Bytes are the size of each chunk's image. A chunk evicted while a reader holds it lives on until the reader
// lets go; those bytes belong to the reader (reserved at admission) and no longer to this store. Thread-safe:
// one mutex, held for map operations only, never while bytes are copied or hashed.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/store/chunk_store.h"

namespace cacheclip {

struct MemoryChunkStoreOptions {
  int64_t max_bytes = int64_t{1} << 30;  // of chunk images; raise it to the memory the machine can spare
  int64_t max_objects = 65536;           // bounds the index beside the bytes
  Clock* clock = RealClock();            // decides when pins expire; outlives the store
};

class MemoryChunkStore : public ChunkStore {
 public:
  explicit MemoryChunkStore(MemoryChunkStoreOptions options) : options_(options) {}

  using ChunkStore::Get;
  absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) override;
  absl::Status Put(std::shared_ptr<const EncodedChunk> chunk) override;
  absl::Status Delete(const ChunkKey& key) override;
  absl::StatusOr<bool> Contains(const ChunkKey& key) override;
  void MarkUsed(const ChunkKey& key) override;
  absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) override;
  absl::Status Unpin(const ChunkKey& key, std::string_view owner) override;
  StoreStats stats() const override;
  absl::Status ForEach(const Visitor& visitor) override;
  std::string_view tier_name() const override { return TierName(Tier::kMemory); }

 private:
  struct Entry {
    std::shared_ptr<const EncodedChunk> chunk;
    std::list<ChunkKey>::iterator use;       // place in uses_
    std::map<std::string, absl::Time> pins;  // owner -> expiry
  };
  using Entries = absl::flat_hash_map<ChunkKey, Entry>;

  bool IsPinned(Entry& entry, absl::Time now);  // drops expired pins
  bool MakeRoom(int64_t bytes);                 // false: what is left is pinned; nothing was evicted
  void Erase(Entries::iterator it);

  const MemoryChunkStoreOptions options_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::list<ChunkKey> uses_;  // most recently used first
  StoreStats stats_;
};

}  // namespace cacheclip
