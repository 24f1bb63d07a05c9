// Where the object tier keeps its objects, as the setting object_url says it: "s3://bucket/prefix" or
// "file:///shared/folder". ParseObjectUrl() checks it and takes it apart. Values only; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace cacheclip {

struct ObjectLocation {
  enum class Kind { kFolder, kS3 };
  Kind kind = Kind::kFolder;
  std::string folder;  // kFolder: absolute path without a slash at its end
  std::string bucket;  // kS3: 3…63 characters of [a-z0-9.-]
  std::string prefix;  // kS3: "" or key names without slashes at either end
};

// INVALID_ARGUMENT naming object_url.
absl::StatusOr<ObjectLocation> ParseObjectUrl(std::string_view url);

// "s3://bucket/prefix" or "file:///folder" again.
std::string ObjectUrl(const ObjectLocation& location);

}  // namespace cacheclip
