// The pins of a disk folder as files, so that every process sees them and they survive restarts: one folder
// per pinned chunk, one file per owner (named by the owner's digest, holding its name), whose modification
// time is the expiry. Not thread-safe: call under the folder's lock (DiskFolder does). Bounded by
// kMaxPinsPerChunk per chunk.
#pragma once

#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/kv/chunk_key.h"

namespace cacheclip {

class DiskPins {
 public:
  explicit DiskPins(std::string folder) : folder_(std::move(folder)) {}

  absl::Status Add(const ChunkKey& key, std::string_view owner, absl::Time expiry, absl::Time now);
  void Remove(const ChunkKey& key, std::string_view owner);
  void RemoveAll(const ChunkKey& key);

  // Whether a pin holds at `now`; removes expired ones.
  bool IsPinned(const ChunkKey& key, absl::Time now);

  // Every chunk with a pin that holds; removes expired ones.
  absl::flat_hash_set<ChunkKey> Pinned(absl::Time now);

 private:
  std::string KeyFolder(const ChunkKey& key) const { return folder_ + "/" + key.ToHex(); }
  static std::string OwnerFile(std::string_view owner);
  int64_t CountHolding(const ChunkKey& key, absl::Time now);

  const std::string folder_;
};

}  // namespace cacheclip
