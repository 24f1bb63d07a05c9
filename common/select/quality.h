// Quality levels: one word in place of a method, a budget and a coverage. The budgets of the levels stand in
// one table, QualityLevels; a model's profile may replace it. DemandOf() turns a level into what the planner
// understands. Pure functions on values; thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/select/method.h"

namespace cacheclip {

enum class Quality {
  kUnspecified,  // method, budget and coverage are given one by one
  kFast,
  kBalanced,
  kExact,  // the answer of full prefill
};

inline constexpr double kDefaultBudget = 0.2;

// What a request wants recomputed, in whichever words it said so.
struct SelectionDemand {
  Method method = Method::kAuto;
  double budget = kDefaultBudget;  // at most; 0 … 1
  double coverage = 1;             // SelectionOptions::coverage
};

// Bounds of a level that reuses stored KV.
struct QualityLevel {
  double budget = kDefaultBudget;
  double coverage = 1;
  friend bool operator==(const QualityLevel&, const QualityLevel&) = default;
};

// How the coverages were found: docs/evaluation.md, "Quality levels".
struct QualityLevels {
  QualityLevel fast = {.budget = 0.1, .coverage = 0.6};
  QualityLevel balanced = {.budget = 0.2, .coverage = 0.7};
  friend bool operator==(const QualityLevels&, const QualityLevels&) = default;
};

// `quality` is not kUnspecified.
SelectionDemand DemandOf(Quality quality, const QualityLevels& levels);

// INVALID_ARGUMENT saying which level is out of range: budgets 0 … 1, coverages above 0 up to 1.
absl::Status ValidateQualityLevels(const QualityLevels& levels);

std::string_view QualityId(Quality quality);  // "balanced"; "" for kUnspecified
// INVALID_ARGUMENT naming "options.quality" and listing the known ids.
absl::StatusOr<Quality> ParseQuality(std::string_view id);
std::string KnownQualityIds();  // "fast, balanced, exact"

}  // namespace cacheclip
