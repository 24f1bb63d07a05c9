#include "services/evaluation/staged_choice.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/value_offset.h"
#include "common/select/divergence.h"

namespace cacheclip {
namespace {

using Indices = std::vector<int32_t>;

class Stages {
 public:
  Stages(const PrefillInput& input, InferenceSession& session, const CancellationToken& cancellation)
      : input_(input),
        session_(session),
        cancellation_(cancellation),
        context_(input.prompt.context_map()),
        selection_(input.plan.selection),
        depth_(input.plan.recompute_layers),
        fresh_by_layer_(static_cast<size_t>(input.model->num_layers()), 0) {}

  absl::StatusOr<StagedChoice> InRounds() {
    SelectionOptions half = selection_;
    half.budget /= 2;
    CACHECLIP_RETURN_IF_ERROR(Probe());
    CACHECLIP_ASSIGN_OR_RETURN(Indices first, SelectFrom(scores_, half));
    CACHECLIP_RETURN_IF_ERROR(Recompute(first, depth_));
    CACHECLIP_RETURN_IF_ERROR(Probe());
    std::vector<float> open = scores_;
    for (const int32_t index : first) open[static_cast<size_t>(index)] = 0;
    half.seam_tokens = 0;  // the first round has taken them
    CACHECLIP_ASSIGN_OR_RETURN(const Indices second, SelectFrom(open, half));
    Indices both;
    std::ranges::set_union(first, second, std::back_inserter(both));
    return Finish(std::move(both), 0);
  }

  absl::StatusOr<StagedChoice> BehindFullLayers(int num_layers) {
    const int64_t stale = context_.num_tokens() - context_.FirstStale(selection_.first_chunk_selectable);
    const int64_t left = BudgetTokens(selection_.budget, context_.num_tokens()) * depth_ - num_layers * stale;
    if (num_layers >= depth_ || left < 0)
      return InvalidField("budgets", absl::StrCat("full=", num_layers, " takes ", num_layers, " of ", depth_,
                                                  " layers of every token; the budget does not pay for it"));
    // What scores by deviation leaves fresh layers behind; the score itself is of no use here.
    CACHECLIP_RETURN_IF_ERROR(
        ScoreByKvDeviation(session_, input_.prompt, num_layers - 1, cancellation_).status());
    CACHECLIP_RETURN_IF_ERROR(Probe());
    SelectionOptions rest = selection_;
    rest.budget = static_cast<double>(std::min(stale, left / (depth_ - num_layers))) / context_.num_tokens();
    CACHECLIP_ASSIGN_OR_RETURN(Indices chosen, SelectFrom(scores_, rest));
    std::fill_n(fresh_by_layer_.begin(), num_layers, stale);
    return Finish(std::move(chosen), num_layers);
  }

  absl::StatusOr<StagedChoice> Shrinking(double share) {
    CACHECLIP_RETURN_IF_ERROR(Probe());
    SelectionOptions options = selection_;
    options.budget = std::min(1.0, (1 + share) * selection_.budget);
    CACHECLIP_ASSIGN_OR_RETURN(const Indices large, SelectFrom(scores_, options));
    options.budget = (1 - share) * selection_.budget;
    CACHECLIP_ASSIGN_OR_RETURN(const Indices small, SelectFrom(scores_, options));
    Indices nested;  // groups that are cut need not be subsets
    std::ranges::set_intersection(small, large, std::back_inserter(nested));
    CACHECLIP_RETURN_IF_ERROR(Recompute(large, depth_ / 2));
    std::fill_n(fresh_by_layer_.begin(), depth_ / 2, static_cast<int64_t>(large.size()));
    return Finish(std::move(nested), depth_ / 2);
  }

  absl::StatusOr<StagedChoice> WithOffset(double share) {
    CACHECLIP_RETURN_IF_ERROR(Probe());
    CACHECLIP_ASSIGN_OR_RETURN(Indices chosen, SelectFrom(scores_, selection_));
    std::vector<bool> is_chosen(scores_.size(), false);
    for (const int32_t index : chosen) is_chosen[static_cast<size_t>(index)] = true;
    const int32_t first_slot = input_.prompt.prefix_size();
    std::vector<int32_t> fresh, stale;
    for (int32_t i = context_.FirstStale(selection_.first_chunk_selectable); i < context_.num_tokens(); ++i)
      (is_chosen[static_cast<size_t>(i)] ? fresh : stale).push_back(first_slot + i);
    if (!fresh.empty()) {
      ValueOffset offset(session_, fresh, depth_);
      CACHECLIP_RETURN_IF_ERROR(Recompute(chosen, depth_));
      offset.AddTo(stale, share);
    }
    return Finish(std::move(chosen), 0);
  }

 private:
  absl::Status Probe() {
    CACHECLIP_ASSIGN_OR_RETURN(scores_,
                               ScoreByPrimaryProbe(session_, input_.prompt, input_.probe, cancellation_));
    return absl::OkStatus();
  }

  absl::StatusOr<Indices> SelectFrom(std::span<const float> scores, const SelectionOptions& options) {
    CACHECLIP_ASSIGN_OR_RETURN(RecomputeSet set, SelectByScores(input_, scores, options));
    return std::move(set.indices);
  }

  absl::Status Recompute(const Indices& indices, int num_layers) {
    return session_
        .Run(SelectiveRows(input_.prompt, indices), cancellation_,
             {.num_shallow_rows = static_cast<int32_t>(indices.size()), .shallow_layers = num_layers})
        .status();
  }

  // The last pass computes `indices` anew in all layers of the depth; from `first_layer` on that is charged.
  StagedChoice Finish(Indices indices, int first_layer) {
    std::fill(fresh_by_layer_.begin() + first_layer, fresh_by_layer_.begin() + depth_,
              static_cast<int64_t>(indices.size()));
    const double stale_mass_share =
        StaleMassShare(context_, scores_, indices, selection_.first_chunk_selectable);
    return {.choice = {.indices = std::move(indices), .stale_mass_share = stale_mass_share},
            .fresh_by_layer = std::move(fresh_by_layer_)};
  }

  const PrefillInput& input_;
  InferenceSession& session_;
  const CancellationToken& cancellation_;
  const ContextMap context_;
  const SelectionOptions selection_;
  const int depth_;
  std::vector<float> scores_;  // of the last probe
  std::vector<int64_t> fresh_by_layer_;
};

}  // namespace

absl::Status ValidateStagedOptions(const StagedOptions& options) {
  const int num_set =
      (options.rounds != 1) + (options.full_layers != 0) + (options.shrink != 0) + (options.offset != 0);
  if (num_set > 1) return InvalidField("methods", "rounds, full, shrink and offset: one at a time");
  if (options.rounds < 1 || options.rounds > 2)
    return InvalidField("methods", absl::StrCat("rounds must be 1 or 2, got ", options.rounds));
  if (options.full_layers < 0)
    return InvalidField("methods", absl::StrCat("full must not be negative, got ", options.full_layers));
  if (!(options.shrink >= 0 && options.shrink < 1))
    return InvalidField("methods", absl::StrCat("shrink must be 0 … 1 (exclusive), got ", options.shrink));
  if (!(options.offset >= 0 && options.offset <= 1))
    return InvalidField("methods", absl::StrCat("offset must be 0 … 1, got ", options.offset));
  return absl::OkStatus();
}

absl::StatusOr<StagedChoice> ChooseInStages(const PrefillInput& input, const StagedOptions& options,
                                            InferenceSession& session,
                                            const CancellationToken& cancellation) {
  Stages stages(input, session, cancellation);
  if (options.rounds == 2) return stages.InRounds();
  if (options.full_layers > 0) return stages.BehindFullLayers(options.full_layers);
  if (options.shrink > 0) return stages.Shrinking(options.shrink);
  return stages.WithOffset(options.offset);
}

}  // namespace cacheclip
