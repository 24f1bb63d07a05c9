#include "common/rpc/remote_status.h"

#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr int kLastCode = 16;

}  // namespace

absl::Status RemoteStatus(int code, std::string_view message, std::string_view field) {
  const auto status_code =
      code >= 1 && code <= kLastCode ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown;
  if (field.empty()) return absl::Status(status_code, AbslView(message));
  if (message.starts_with(field)) {
    message.remove_prefix(field.size());
    if (message.starts_with(": ")) message.remove_prefix(2);
  }
  return FieldError(status_code, field, message);
}

}  // namespace cacheclip
