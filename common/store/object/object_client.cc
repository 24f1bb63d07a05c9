#include "common/store/object/object_client.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {

absl::Status ValidateObjectName(std::string_view name) {
  if (name.empty() || static_cast<int64_t>(name.size()) > kMaxObjectNameBytes)
    return InvalidField("object name",
                        absl::StrCat("must be 1 to ", kMaxObjectNameBytes, " bytes, got ", name.size()));
  const auto is_allowed = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-' || c == '/';
  };
  if (!std::ranges::all_of(name, is_allowed))
    return InvalidField("object name", "may only hold letters, digits and . _ - /");
  for (const absl::string_view part : absl::StrSplit(AbslView(name), '/'))
    if (part.empty() || part == "." || part == "..")
      return InvalidField("object name", "has an empty part or one that is \".\" or \"..\"");
  return absl::OkStatus();
}

}  // namespace cacheclip
