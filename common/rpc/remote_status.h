// Rebuilds a status that another process sent as code, message and field, so that it reads as if made here.
// Thread-safe.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace cacheclip {

// `field` may be empty. `message` begins with "<field>: " where the sender named one. An unknown code is
// kUnknown.
absl::Status RemoteStatus(int code, std::string_view message, std::string_view field);

}  // namespace cacheclip
