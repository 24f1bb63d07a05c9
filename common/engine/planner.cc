#include "common/engine/planner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/select/fixed_selectors.h"

namespace cacheclip {
namespace {

using Step = RecomputePlan::Step;

Method Resolve(const PlanInput& input) {
  if (input.method != Method::kAuto) return input.method;
  return input.has_selector ? Method::kAuxiliary : Method::kPrimaryProbe;
}

bool NothingSelectable(const ContextMap& context, const SelectionOptions& selection) {
  return context.num_tokens() == context.FirstStale(selection.first_chunk_selectable) ||
         BudgetTokens(selection.budget, context.num_tokens()) == 0;
}

RecomputePlan Decided(RecomputePlan plan, RecomputeSet set) {
  plan.step = Step::kDecided;
  plan.indices = std::move(set.indices);
  return plan;
}

// The largest count with count / total <= budget (BudgetTokens() for counts of layer-tokens).
int64_t BudgetOf(double budget, int64_t total) {
  int64_t count = std::min(total, static_cast<int64_t>(budget * total) + 1);
  while (count > 0 && static_cast<double>(count) / total > budget) --count;
  return count;
}

// Layers 0 … check_layer run in full for every chunk but the first and are charged; what is left of the
// budget is spread over the remaining layers.
absl::StatusOr<RecomputePlan> PlanDeviation(const PlanInput& input, RecomputePlan plan) {
  const ContextMap& context = input.context;
  const int64_t num_tokens = context.num_tokens(), rescored = num_tokens - context.FirstStale(false);
  plan.check_layer = std::min(kCheckLayer, input.num_layers - 1);
  const int64_t full_layers = plan.check_layer + 1, sparse_layers = input.num_layers - full_layers;
  if (rescored == 0) return Decided(std::move(plan), SelectNone(context));
  const int64_t layer_tokens = BudgetOf(plan.selection.budget, input.num_layers * num_tokens);
  const int64_t checked = full_layers * rescored;
  if (checked > layer_tokens)
    return InvalidField("options.budget",
                        absl::StrCat("kv_deviation runs ", full_layers, " of ", input.num_layers,
                                     " layers in full, which takes a budget of at least ",
                                     static_cast<double>(checked) / (input.num_layers * num_tokens), "; got ",
                                     plan.selection.budget));
  const int64_t affordable = sparse_layers == 0 ? 0 : (layer_tokens - checked) / sparse_layers;
  plan.step = Step::kDeviation;
  plan.selection.budget = static_cast<double>(std::min(affordable, rescored)) / num_tokens;
  plan.selection.first_chunk_selectable = false;  // it is not rescored
  plan.selection.seam_tokens = 0;                 // CacheBlend chooses by deviation alone
  return plan;
}

// Chosen tokens run through the first layers only, and what this saves pays for more of them. A budget that
// pays for every selectable token buys layers instead, so that all of it is always full prefill.
void SetDepth(const PlanInput& input, RecomputePlan& plan) {
  const int64_t num_tokens = input.context.num_tokens();
  const int64_t selectable = num_tokens - input.context.FirstStale(plan.selection.first_chunk_selectable);
  const int64_t affordable = BudgetOf(plan.selection.budget, input.num_layers * num_tokens);
  const int64_t layers = std::max<int64_t>(std::lround(plan.selection.depth * input.num_layers), 1);
  plan.recompute_layers =
      static_cast<int>(std::clamp<int64_t>(affordable / selectable, layers, input.num_layers));
  const int64_t chosen = std::min(selectable, affordable / plan.recompute_layers);
  if (chosen > BudgetTokens(plan.selection.budget, input.context.num_tokens()))
    plan.selection.budget = static_cast<double>(chosen) / num_tokens;
}

}  // namespace

absl::StatusOr<RecomputePlan> PlanRecompute(const PlanInput& input) {
  CACHECLIP_RETURN_IF_ERROR(ValidateSelectionOptions(input.selection));
  CACHECLIP_RETURN_IF_ERROR(input.context.Validate());
  RecomputePlan plan{
      .method = Resolve(input), .selection = input.selection, .recompute_layers = input.num_layers};
  switch (plan.method) {
    case Method::kFull:
      plan = Decided(std::move(plan), SelectAll(input.context));
      plan.step = Step::kFullPrefill;
      return plan;
    case Method::kNone:
      return plan;
    case Method::kChunkHead: {
      CACHECLIP_ASSIGN_OR_RETURN(RecomputeSet set, SelectChunkHeads(input.context, input.selection));
      return Decided(std::move(plan), std::move(set));
    }
    case Method::kRandom: {
      CACHECLIP_ASSIGN_OR_RETURN(RecomputeSet set, SelectRandom(input.context, input.selection, input.seed));
      return Decided(std::move(plan), std::move(set));
    }
    default:
      break;
  }
  if (input.selection.budget >= 1.0) return Decided(std::move(plan), SelectAll(input.context));
  if (plan.method == Method::kKvDeviation) return PlanDeviation(input, std::move(plan));
  if (NothingSelectable(input.context, input.selection))
    return Decided(std::move(plan), SelectNone(input.context));
  plan.step = plan.method == Method::kPrimaryProbe ? Step::kProbe : Step::kAskSelector;
  if (plan.method != Method::kAuxiliaryPaper) {  // published as it is
    SetDepth(input, plan);
    plan.stale_weight = input.selection.stale_weight;
    plan.stale_shift = input.selection.stale_shift;
    plan.local_heads = input.selection.local_heads;
    plan.int8_scores = input.selection.int8_scores;
  }
  return plan;
}

absl::Status CheckSelected(const ContextMap& context, const SelectionOptions& selection,
                           int32_t num_context_tokens, std::span<const int32_t> indices) {
  const int32_t num_tokens = context.num_tokens();
  if (num_context_tokens != num_tokens)
    return absl::InternalError(
        absl::StrCat("counted ", num_context_tokens, " context tokens, there are ", num_tokens));
  const int32_t budget_tokens = BudgetTokens(selection.budget, num_tokens);
  if (static_cast<int64_t>(indices.size()) > budget_tokens)
    return absl::InternalError(
        absl::StrCat("chose ", indices.size(), " tokens, the budget is ", budget_tokens));
  const bool may_take_first = selection.first_chunk_selectable || selection.budget >= 1.0;
  int32_t lowest = context.FirstStale(may_take_first);
  for (const int32_t index : indices) {
    if (index < lowest || index >= num_tokens)
      return absl::InternalError(
          absl::StrCat("index ", index, " is out of order, out of range or not selectable"));
    lowest = index + 1;
  }
  return absl::OkStatus();
}

ChargedBudget ChargeOf(const RecomputePlan& plan, std::span<const int32_t> indices, const ContextMap& context,
                       int num_layers) {
  std::vector<int64_t> fresh(num_layers, 0);
  std::fill_n(fresh.begin(), plan.recompute_layers, static_cast<int64_t>(indices.size()));
  if (plan.step == Step::kDeviation)
    std::fill_n(fresh.begin(), plan.check_layer + 1, context.num_tokens() - context.FirstStale(false));
  return ChargePerLayer(fresh, context.num_tokens());
}

}  // namespace cacheclip
