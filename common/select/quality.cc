#include "common/select/quality.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

struct Name {
  Quality quality;
  std::string_view id;
};

constexpr Name kNames[] = {
    {Quality::kFast, "fast"}, {Quality::kBalanced, "balanced"}, {Quality::kExact, "exact"}};

absl::Status CheckLevel(std::string_view id, const QualityLevel& level) {
  if (!(level.budget >= 0 && level.budget <= 1))
    return absl::InvalidArgumentError(
        absl::StrCat("the budget of ", AbslView(id), " must be between 0 and 1, got ", level.budget));
  if (!(level.coverage > 0 && level.coverage <= 1))
    return absl::InvalidArgumentError(absl::StrCat(
        "the coverage of ", AbslView(id), " must be between 0 (exclusive) and 1, got ", level.coverage));
  return absl::OkStatus();
}

}  // namespace

SelectionDemand DemandOf(Quality quality, const QualityLevels& levels) {
  CACHECLIP_CHECK(quality != Quality::kUnspecified) << "no level was asked for";
  if (quality == Quality::kExact) return {.method = Method::kFull, .budget = 1};
  const QualityLevel& level = quality == Quality::kFast ? levels.fast : levels.balanced;
  return {.method = Method::kAuto, .budget = level.budget, .coverage = level.coverage};
}

absl::Status ValidateQualityLevels(const QualityLevels& levels) {
  CACHECLIP_RETURN_IF_ERROR(CheckLevel(QualityId(Quality::kFast), levels.fast));
  return CheckLevel(QualityId(Quality::kBalanced), levels.balanced);
}

std::string_view QualityId(Quality quality) {
  for (const Name& name : kNames)
    if (name.quality == quality) return name.id;
  return "";
}

absl::StatusOr<Quality> ParseQuality(std::string_view id) {
  for (const Name& name : kNames)
    if (name.id == id) return name.quality;
  return InvalidField("options.quality",
                      absl::StrCat("\"", AbslView(id), "\" is unknown; known are ", KnownQualityIds()));
}

std::string KnownQualityIds() {
  return absl::StrJoin(kNames, ", ", [](std::string* out, const Name& name) { out->append(name.id); });
}

}  // namespace cacheclip
