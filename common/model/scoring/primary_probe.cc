// The primary's own middle layers say which context tokens the question attends to (ProphetKV, QCFuse;
// method.md §3).
#include <algorithm>

#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/forward_pass.h"
#include "common/model/scoring/attention_mass.h"
#include "common/model/scoring/scoring.h"

namespace cacheclip {

LayerBand DefaultScoringBand(int num_layers) {
  return {num_layers / 3, std::max(num_layers / 3 + 1, 2 * num_layers / 3)};
}

absl::StatusOr<std::vector<float>> ScoreByPrimaryProbe(InferenceSession& session, const PromptTokens& prompt,
                                                       LayerBand band,
                                                       const CancellationToken& cancellation) {
  const LanguageModel& model = session.model();
  if (band.begin < 0 || band.begin >= band.end || band.end > model.num_layers())
    return absl::InvalidArgumentError(
        absl::StrCat("layer band [", band.begin, ", ", band.end, ") of ", model.num_layers()));
  if (prompt.question_begin >= prompt.question_end)
    return absl::InvalidArgumentError("the prompt marks no question tokens to score with");
  const c10::InferenceMode inference;
  Rows rows;  // the suffix up to the question's end: the tokens before the question are its context
  rows.Append(std::span(prompt.suffix_ids).first(static_cast<size_t>(prompt.question_end)),
              prompt.suffix_begin(), prompt.suffix_begin());
  const int64_t begin = prompt.prefix_size(), end = prompt.suffix_begin();
  at::Tensor total =
      at::zeros({end - begin}, at::TensorOptions().dtype(at::kFloat).device(model.tensors().device));
  CACHECLIP_RETURN_IF_ERROR(session.CheckRows(rows));
  ForwardPass pass(model.tensors(), model.config(), session.cache(), rows);
  const ForwardHooks hooks{
      .after_store =
          [&](int layer, const Projections& projections) {
            if (layer < band.begin) return absl::OkStatus();
            const auto slots = std::span(rows.slots).subspan(static_cast<size_t>(prompt.question_begin));
            const at::Tensor logits =
                AttentionLogits(session.cache(), layer, projections.queries.slice(0, prompt.question_begin),
                                slots, model.config().num_kv_heads);
            const at::Tensor mass = at::softmax(logits, -1).slice(2, begin, end);
            total.add_(PoolHeads(mass, {}, HeadPooling::kMean));
            return absl::OkStatus();
          },
      .cancellation = cancellation};
  CACHECLIP_RETURN_IF_ERROR(pass.RunToProjections(band.end - 1, hooks));
  return ToVector(total.div_(band.end - band.begin));
}

}  // namespace cacheclip
