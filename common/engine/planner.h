// What will be recomputed, as a value: method and budget become a RecomputePlan before any model work is
// done, and common/engine/prefill.h executes it. Everything that can be refused about a method and its budget
// is refused here.
//
//   CACHECLIP_ASSIGN_OR_RETURN(RecomputePlan plan, PlanRecompute(input));
//   if (plan.step == RecomputePlan::Step::kAskSelector) …  // fill in its checked answer, or plan another
//   method
//
// Pure functions on values; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/select/charged_budget.h"
#include "common/select/context_map.h"
#include "common/select/method.h"
#include "common/select/selection.h"

namespace cacheclip {

struct PlanInput {
  Method method = Method::kAuto;
  bool has_selector = false;  // decides what kAuto means
  ContextMap context;
  int num_layers = 0;          // of the primary
  SelectionOptions selection;  // the asked budget and the first-chunk rule included
  uint64_t seed = 0;           // kRandom
};

struct RecomputePlan {
  // Where the recompute set comes from.
  enum class Step {
    kDecided,      // `indices` is complete
    kAskSelector,  // the selector chooses
    kProbe,        // scored by the primary's probe over the assembled cache
    kDeviation,    // scored by KV deviation after layers 0 … check_layer have run in full
    kFullPrefill,  // no stored KV is used at all
  };

  Method method = Method::kNone;  // never kAuto
  Step step = Step::kDecided;
  std::vector<int32_t> indices;
  // How to choose, with the budget as a share of tokens: what is left for the chosen ones (kDeviation), or
  // more than was asked where they run through fewer layers.
  SelectionOptions selection;
  int recompute_layers = 0;  // chosen tokens are computed anew in layers 0 … recompute_layers - 1
  double stale_weight = 1;   // of StaleAttentionWeight() (common/select/divergence.h)
  double stale_shift = 0;    // RunOptions::stale_shift
  bool int8_scores = false;  // RunOptions::int8_scores
  bool local_heads = false;  // whether PrefillInput::local_heads leave out what stands far
  int check_layer = -1;      // kDeviation
  std::optional<double> stale_mass_share;  // what the selector said (common/select/divergence.h)

  bool UsesStoredKv() const { return step != Step::kFullPrefill; }
};

// kDeviation compares at this layer, as CacheBlend does; a model with fewer layers at its last.
inline constexpr int kCheckLayer = 1;

// INVALID_ARGUMENT "options.budget" where the budget does not pay for what the method has to compute before
// it chooses.
absl::StatusOr<RecomputePlan> PlanRecompute(const PlanInput& input);

// Checks what a selector answered: sorted, unique, in range, within the budget, the first chunk left alone
// unless it may be chosen. INTERNAL saying what is wrong.
absl::Status CheckSelected(const ContextMap& context, const SelectionOptions& selection,
                           int32_t num_context_tokens, std::span<const int32_t> indices);

// What executing `plan` spends when `indices` are recomputed in every layer.
ChargedBudget ChargeOf(const RecomputePlan& plan, std::span<const int32_t> indices, const ContextMap& context,
                       int num_layers);

}  // namespace cacheclip
