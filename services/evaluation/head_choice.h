// Which attention heads find answers: from what each head alone attends to on samples whose evidence is
// known, the set whose summed attention covers that evidence best under a budget. A pure function of its
// input.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/scoring/scoring.h"
#include "common/select/context_map.h"
#include "common/select/selection.h"

namespace cacheclip {

struct HeadObservation {
  ContextMap map;
  std::vector<HeadScores> heads;  // the same heads in the same order in all observations
  std::vector<int32_t> evidence;  // context indices, not empty
};

struct HeadChoice {
  std::vector<HeadId> heads;
  double recall = 0;  // mean share of the evidence that the heads together select
};

inline constexpr int kMaxChosenHeads = 16;

// Greedy: starts with the best single head, adds the one that helps most, stops when none does. The budget is
// that of `selection`. INVALID_ARGUMENT without observations.
absl::StatusOr<HeadChoice> ChooseHeads(std::span<const HeadObservation> observations,
                                       const SelectionOptions& selection);

// What a given set of heads selects of the evidence.
absl::StatusOr<double> RecallOf(std::span<const HeadObservation> observations, std::span<const HeadId> heads,
                                const SelectionOptions& selection);

}  // namespace cacheclip
