// Ways to spend a budget in more than one step, tried beside the product's one pass: two rounds of selection,
// first layers in full, sets that shrink from layer to layer, the mean-offset correction of what stays stale
// (method.md §9). All choose by the primary's probe. They spend more time than their budget says, for layers
// that a later pass runs again are charged once.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/engine/prefill.h"

namespace cacheclip {

struct StagedOptions {  // one of them at a time
  int rounds = 1;       // 2: half of the budget by the stale cache, half by the cache that this improves
  int full_layers = 0;  // layers 0 … full_layers - 1 for every stale token, the rest of the budget above them
  double shrink = 0;    // below 1: 1 + shrink times as many tokens in the lower half of the layers that are
                        // recomputed, 1 - shrink times as many in the upper half
  double offset = 0;    // share of the mean change of recomputed values that is added to stale ones

  bool any() const { return rounds != 1 || full_layers != 0 || shrink != 0 || offset != 0; }
};

// INVALID_ARGUMENT naming "methods".
absl::Status ValidateStagedOptions(const StagedOptions& options);

struct StagedChoice {
  TokenChoice choice;                   // what the last pass recomputes
  std::vector<int64_t> fresh_by_layer;  // [num_layers] tokens computed anew, each counted once
};

// To be called in place of choosing (PrefillInput::choose), on a plan that probes. INVALID_ARGUMENT "budgets"
// where the budget does not pay for the full layers.
absl::StatusOr<StagedChoice> ChooseInStages(const PrefillInput& input, const StagedOptions& options,
                                            InferenceSession& session, const CancellationToken& cancellation);

}  // namespace cacheclip
