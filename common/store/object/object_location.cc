#include "common/store/object/object_location.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/store/object/object_client.h"

namespace cacheclip {
namespace {

constexpr absl::string_view kS3Scheme = "s3://";
constexpr absl::string_view kFileScheme = "file://";

absl::Status BadUrl(std::string_view problem) { return InvalidField("object_url", problem); }

absl::string_view WithoutSlashes(absl::string_view text) {
  while (absl::ConsumeSuffix(&text, "/")) {
  }
  return text;
}

bool IsBucketName(absl::string_view name) {
  if (name.size() < 3 || name.size() > 63) return false;
  const auto is_letter_or_digit = [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); };
  if (!is_letter_or_digit(name.front()) || !is_letter_or_digit(name.back())) return false;
  return std::ranges::all_of(name, [&](char c) { return is_letter_or_digit(c) || c == '-' || c == '.'; }) &&
         !absl::StrContains(name, "..");
}

absl::StatusOr<ObjectLocation> ParseFolder(absl::string_view rest) {
  if (!absl::StartsWith(rest, "/"))
    return BadUrl("\"file://\" must be followed by an absolute path, as in file:///shared/cacheclip");
  const absl::string_view folder = WithoutSlashes(rest);
  if (folder.empty()) return BadUrl("the root folder cannot be the object tier");
  if (absl::StrContains(folder, '\0')) return BadUrl("the path holds a zero byte");
  return ObjectLocation{ObjectLocation::Kind::kFolder, std::string(folder), "", ""};
}

absl::StatusOr<ObjectLocation> ParseS3(absl::string_view rest) {
  const size_t slash = std::min(rest.find('/'), rest.size());
  const absl::string_view bucket = rest.substr(0, slash);
  const absl::string_view prefix = WithoutSlashes(rest.substr(std::min(slash + 1, rest.size())));
  if (!IsBucketName(bucket))
    return BadUrl(absl::StrCat("\"", bucket, "\" is no bucket name: 3 to 63 of a-z, 0-9, \"-\" and \".\""));
  if (!prefix.empty() && !ValidateObjectName(StdView(prefix)).ok())
    return BadUrl(
        "the prefix may only hold letters, digits and . _ - / without empty, \".\" or \"..\" parts");
  if (prefix.size() > kMaxObjectNameBytes / 2)
    return BadUrl(absl::StrCat("the prefix is longer than ", kMaxObjectNameBytes / 2, " bytes"));
  return ObjectLocation{ObjectLocation::Kind::kS3, "", std::string(bucket), std::string(prefix)};
}

}  // namespace

absl::StatusOr<ObjectLocation> ParseObjectUrl(std::string_view url) {
  absl::string_view rest = AbslView(url);
  if (absl::ConsumePrefix(&rest, kFileScheme)) return ParseFolder(rest);
  if (absl::ConsumePrefix(&rest, kS3Scheme)) return ParseS3(rest);
  return BadUrl("must begin with \"s3://\" or \"file://\"");
}

std::string ObjectUrl(const ObjectLocation& location) {
  if (location.kind == ObjectLocation::Kind::kFolder) return absl::StrCat(kFileScheme, location.folder);
  return absl::StrCat(kS3Scheme, location.bucket, location.prefix.empty() ? "" : "/", location.prefix);
}

}  // namespace cacheclip
