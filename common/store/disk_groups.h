// Which chunks of a disk folder count to which quota group, as empty marker files, so that every process sees
// them: groups/<digest of the group>/<key>.<bytes>. A marker whose chunk is gone says nothing any longer and
// is removed when its group is listed. Not thread-safe: call under the folder's lock (DiskFolder does).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/kv/chunk_key.h"

namespace cacheclip {

class DiskGroups {
 public:
  struct Member {
    ChunkKey key;
    int64_t bytes = 0;
  };

  explicit DiskGroups(std::string folder) : folder_(std::move(folder)) {}

  absl::Status Add(std::string_view group, const Member& member);
  void Remove(std::string_view group, const Member& member);
  absl::StatusOr<std::vector<Member>> Members(std::string_view group) const;

 private:
  std::string GroupFolder(std::string_view group) const;
  std::string MarkerPath(std::string_view group, const Member& member) const;

  const std::string folder_;
};

}  // namespace cacheclip
