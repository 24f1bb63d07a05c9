// The keys seen most recently, without their chunks: by it a tier that is full tells a chunk's second use
// from its first, so that a scan of chunks that nobody asks for again does not push out what is in use.
// Bounded; the oldest key goes first. Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>

#include "absl/container/flat_hash_set.h"
#include "common/kv/chunk_key.h"

namespace cacheclip {

class RecentKeys {
 public:
  explicit RecentKeys(int64_t max_keys) : max_keys_(max_keys) {}

  // True if the key was not among them; it is from now on.
  bool Insert(const ChunkKey& key);
  void Clear();

 private:
  const int64_t max_keys_;
  std::mutex mutex_;
  absl::flat_hash_set<ChunkKey> keys_;
  std::deque<ChunkKey> order_;  // oldest first
};

}  // namespace cacheclip
