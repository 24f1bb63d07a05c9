// Deletions that a tier could not be told: while a tombstone stands, the stack does not serve the key from
// that tier, and repeats the deletion once the tier answers again. Kept in memory and bounded: beyond
// kMaxTombstones the oldest is dropped and counted (the catalogue, which decides what exists, knows of the
// deletion anyway). Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "common/kv/chunk_key.h"

namespace cacheclip {

class Tombstones {
 public:
  static constexpr size_t kMaxTombstones = 65536;
  static constexpr size_t kMaxTiers = 32;

  explicit Tombstones(size_t max_tombstones = kMaxTombstones) : max_tombstones_(max_tombstones) {}

  void Add(const ChunkKey& key, size_t tier_index);
  bool Has(const ChunkKey& key, size_t tier_index) const;
  void Remove(const ChunkKey& key, size_t tier_index);
  void RemoveAll(const ChunkKey& key);  // the chunk was put again

  std::optional<ChunkKey> Any(size_t tier_index) const;  // one key whose deletion that tier still lacks
  size_t size() const;
  int64_t num_dropped() const;

 private:
  const size_t max_tombstones_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<ChunkKey, uint32_t> tiers_;  // bit i: tier i
  std::deque<ChunkKey> order_;                     // oldest first
  int64_t num_dropped_ = 0;
};

}  // namespace cacheclip
