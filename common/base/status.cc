#include "common/base/status.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {
constexpr std::string_view kFieldPayload = "cacheclip.field";
}

absl::Status InvalidField(std::string_view field, std::string_view problem) {
  return FieldError(absl::StatusCode::kInvalidArgument, field, problem);
}

absl::Status FieldError(absl::StatusCode code, std::string_view field, std::string_view problem) {
  absl::Status status(code, absl::StrCat(AbslView(field), ": ", AbslView(problem)));
  status.SetPayload(AbslView(kFieldPayload), absl::Cord(AbslView(field)));
  return status;
}

std::string FieldOf(const absl::Status& status) {
  const auto payload = status.GetPayload(AbslView(kFieldPayload));
  return payload ? std::string(*payload) : std::string();
}

absl::Status WithContext(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status result(status.code(), absl::StrCat(AbslView(context), ": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { result.SetPayload(url, payload); });
  return result;
}

}  // namespace cacheclip
