// The memory tier: chunks in a hash map with a least-recently-used list, bounded by bytes and by objects, and
// by bytes for each quota group.
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
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/store/chunk_store.h"
#include "common/store/group_quotas.h"

namespace cacheclip {

struct MemoryChunkStoreOptions {
  int64_t max_bytes = int64_t{1} << 30;  // of chunk images; raise it to the memory the machine can spare
  int64_t max_objects = 65536;           // bounds the index beside the bytes
  GroupQuotas quotas;
  Watermarks watermarks;
  const Clock* clock = RealClock();  // decides when pins expire; outlives the store
};

class MemoryChunkStore : public ChunkStore {
 public:
  explicit MemoryChunkStore(MemoryChunkStoreOptions options) : options_(options) {}

  using ChunkStore::Get;
  absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) override;
  absl::Status Put(std::shared_ptr<const EncodedChunk> chunk) override { return PutInGroup(chunk, ""); }
  absl::Status PutInGroup(std::shared_ptr<const EncodedChunk> chunk, std::string_view group) override;
  absl::Status Delete(const ChunkKey& key) override;
  absl::StatusOr<bool> Contains(const ChunkKey& key) override;
  void MarkUsed(const ChunkKey& key) override;
  bool HasRoomFor(int64_t bytes) const override;  // below the low-water mark
  void EvictToLowWater() override;
  absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) override;
  absl::Status Unpin(const ChunkKey& key, std::string_view owner) override;
  StoreStats stats() const override;
  int64_t group_bytes(std::string_view group) const;
  absl::Status ForEach(const Visitor& visitor) override;
  std::string_view tier_name() const override { return TierName(Tier::kMemory); }

 private:
  struct Entry {
    std::shared_ptr<const EncodedChunk> chunk;
    std::list<ChunkKey>::iterator use;       // place in uses_
    std::map<std::string, absl::Time> pins;  // owner -> expiry
    std::string group;
  };
  using Entries = absl::flat_hash_map<ChunkKey, Entry>;

  bool IsPinned(Entry& entry, absl::Time now);  // drops expired pins
  // False: what is left is pinned, or over the group's quota alone; nothing was evicted.
  bool MakeRoom(int64_t bytes, std::string_view group);
  std::vector<Entries::iterator> ChooseVictims(int64_t bytes_over, int64_t objects_over,
                                               std::string_view group, int64_t group_bytes_over);
  void Erase(Entries::iterator it);

  const MemoryChunkStoreOptions options_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::list<ChunkKey> uses_;                                 // most recently used first
  std::map<std::string, int64_t, std::less<>> group_bytes_;  // only groups that hold something
  StoreStats stats_;
};

}  // namespace cacheclip
