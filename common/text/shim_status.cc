#include "common/text/shim_status.h"

#include "absl/strings/str_cat.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

absl::StatusCode CodeOf(int code) {
  switch (code) {
    case TS_INVALID_ARGUMENT:
      return absl::StatusCode::kInvalidArgument;
    case TS_PARSE:
    case TS_RENDER:
      return absl::StatusCode::kFailedPrecondition;  // the model's file is at fault, not the request
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status ShimStatus(int code, std::string_view what) {
  if (code == TS_OK) return absl::OkStatus();
  const ts_str message = ts_last_error();
  return absl::Status(CodeOf(code),
                      absl::StrCat(AbslView(what), ": ", absl::string_view(message.ptr, message.len)));
}

}  // namespace cacheclip
