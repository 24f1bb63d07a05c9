// Pages through the files below a folder in the order of their names, as ListObjectsV2 does for a bucket: any
// page can be asked for by the name it follows, and only the folders on the way are read. Memory is bounded
// by the largest single folder. Files that come or go meanwhile may be missed. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/store/object/object_client.h"

namespace cacheclip {

inline constexpr std::string_view kIncomingFolder = ".incoming";  // at the root; never listed

// See ObjectClient::List(); `after` is the last name of the page before, or empty.
absl::StatusOr<ObjectPage> ListFolder(const std::string& root, const std::string& prefix,
                                      const std::string& after, int max_objects,
                                      const CancellationToken& token);

// NOT_FOUND unless there is a regular file of that name.
absl::StatusOr<ObjectInfo> StatObject(const std::string& root, const std::string& name);

}  // namespace cacheclip
