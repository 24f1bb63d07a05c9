// Turns the Rust library's error codes and buffers into absl::Status and std::string. Only for the .cc files
// beside it.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/text/shim/textshim.h"

namespace cacheclip {

// OK for TS_OK; else the calling thread's last message with "<what>: " before it.
absl::Status ShimStatus(int code, std::string_view what);

// Calls `fill(&buffer)`, which returns a code, and takes over what it wrote.
template <typename Fill>
absl::StatusOr<std::string> ShimString(std::string_view what, Fill fill) {
  ts_buf buffer{nullptr, 0, 0};
  if (const int code = fill(&buffer); code != TS_OK) return ShimStatus(code, what);
  std::string text(buffer.ptr, buffer.len);
  ts_buf_free(buffer);
  return text;
}

}  // namespace cacheclip
