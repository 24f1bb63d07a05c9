#include "common/text/model_files.h"

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"

namespace cacheclip {

absl::StatusOr<nlohmann::json> ReadOptionalJson(const std::string& path) {
  absl::StatusOr<std::string> content = ReadFile(path);
  if (absl::IsNotFound(content.status())) return nlohmann::json::object();
  CACHECLIP_RETURN_IF_ERROR(content.status());
  nlohmann::json parsed = nlohmann::json::parse(*content, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return absl::FailedPreconditionError(absl::StrCat(path, ": not a JSON object"));
  return parsed;
}

}  // namespace cacheclip
