// The primary's own middle layers say which context tokens the question attends to (ProphetKV, QCFuse;
// method.md §3).
#include <algorithm>
#include <functional>

#include <ATen/ops/softmax.h>
#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/forward_pass.h"
#include "common/model/scoring/attention_mass.h"
#include "common/model/scoring/scoring.h"

namespace cacheclip {

LayerBand DefaultScoringBand(int num_layers) {
  return {num_layers / 2, std::max(num_layers / 2 + 1, 3 * num_layers / 4)};
}

absl::StatusOr<LayerBand> ResolveBand(const LanguageModel& model, const ScoringHeads& heads) {
  LayerBand band = heads.band;
  if (!heads.heads.empty()) {
    band = {model.num_layers(), 0};
    for (const HeadId& id : heads.heads) {
      if (id.head < 0 || id.head >= model.config().num_heads)
        return absl::InvalidArgumentError(absl::StrCat("head ", id.head, " of ", model.config().num_heads));
      band = {std::min(band.begin, id.layer), std::max(band.end, id.layer + 1)};
    }
  } else if (band.begin == band.end) {
    band = DefaultScoringBand(static_cast<int>(model.config().num_layers));
    band.end = std::min(band.end, model.num_layers());
    band.begin = std::min(band.begin, band.end - 1);
  }
  if (band.begin < 0 || band.begin >= band.end || band.end > model.num_layers())
    return absl::InvalidArgumentError(absl::StrCat("layers [", band.begin, ", ", band.end, ") of the ",
                                                   model.num_layers(), " that are loaded"));
  return band;
}

namespace {

// Runs the question's rows through the layers of `band`; `on_mass` gets [num_heads, question rows, context
// tokens] of each layer that `counts`.
absl::Status RunProbe(InferenceSession& session, const PromptTokens& prompt, LayerBand band,
                      const CancellationToken& cancellation, const std::function<bool(int layer)>& counts,
                      const std::function<void(int layer, const at::Tensor& mass)>& on_mass) {
  if (prompt.question_begin >= prompt.question_end)
    return absl::InvalidArgumentError("the prompt marks no question tokens to score with");
  const LanguageModel& model = session.model();
  Rows rows;  // the suffix up to the question's end: the tokens before the question are its context
  rows.Append(std::span(prompt.suffix_ids).first(static_cast<size_t>(prompt.question_end)),
              prompt.suffix_begin(), prompt.suffix_begin());
  CACHECLIP_RETURN_IF_ERROR(session.CheckRows(rows));
  ForwardPass pass(model.tensors(), model.config(), session.cache(), rows);
  const ForwardHooks hooks{
      .after_store =
          [&](int layer, const Projections& projections) {
            if (!counts(layer)) return absl::OkStatus();
            const auto slots = std::span(rows.slots).subspan(static_cast<size_t>(prompt.question_begin));
            const at::Tensor logits = AttentionLogits(
                session.cache(), layer, projections.queries.slice(0, prompt.question_begin), slots);
            on_mass(layer, at::softmax(logits, -1).slice(2, prompt.prefix_size(), prompt.suffix_begin()));
            return absl::OkStatus();
          },
      .cancellation = cancellation};
  return pass.RunToProjections(band.end - 1, hooks);
}

}  // namespace

absl::StatusOr<std::vector<float>> ScoreByPrimaryProbe(InferenceSession& session, const PromptTokens& prompt,
                                                       const ScoringHeads& heads,
                                                       const CancellationToken& cancellation) {
  CACHECLIP_ASSIGN_OR_RETURN(const LayerBand band, ResolveBand(session.model(), heads));
  const c10::InferenceMode inference;
  MassCollector collector(heads, band);
  CACHECLIP_RETURN_IF_ERROR(RunProbe(
      session, prompt, band, cancellation, [&](int layer) { return collector.Counts(layer); },
      [&](int layer, const at::Tensor& mass) { collector.Add(layer, mass); }));
  return collector.Total();
}

absl::StatusOr<std::vector<HeadScores>> ScoreHeadsByPrimaryProbe(InferenceSession& session,
                                                                 const PromptTokens& prompt, LayerBand band,
                                                                 const CancellationToken& cancellation) {
  CACHECLIP_ASSIGN_OR_RETURN(band, ResolveBand(session.model(), {.band = band}));
  const c10::InferenceMode inference;
  std::vector<HeadScores> scores;
  CACHECLIP_RETURN_IF_ERROR(RunProbe(
      session, prompt, band, cancellation, [&](int layer) { return layer >= band.begin; },
      [&](int layer, const at::Tensor& mass) { AppendHeadScores(layer, mass, scores); }));
  return scores;
}

}  // namespace cacheclip
