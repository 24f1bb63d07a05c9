#include "common/base/status.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace cacheclip {
namespace {
constexpr std::string_view kFieldPayload = "cacheclip.field";
}

absl::Status InvalidField(std::string_view field, std::string_view problem) {
  return FieldError(absl::StatusCode::kInvalidArgument, field, problem);
}

absl::Status FieldError(absl::StatusCode code, std::string_view field, std::string_view problem) {
  absl::Status status(code, absl::StrCat(field, ": ", problem));
  status.SetPayload(kFieldPayload, absl::Cord(field));
  return status;
}

std::string FieldOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kFieldPayload);
  return payload ? std::string(*payload) : std::string();
}

absl::Status WithContext(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status result(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload([&](std::string_view url, const absl::Cord& payload) { result.SetPayload(url, payload); });
  return result;
}

}  // namespace cacheclip
