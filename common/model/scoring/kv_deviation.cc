// CacheBlend's criterion: tokens whose fresh KV differs most from the stale one at an early layer.
#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/forward_pass.h"
#include "common/model/scoring/attention_mass.h"
#include "common/model/scoring/scoring.h"

namespace cacheclip {

absl::StatusOr<std::vector<float>> ScoreByKvDeviation(InferenceSession& session, const PromptTokens& prompt,
                                                      int check_layer,
                                                      const CancellationToken& cancellation) {
  const LanguageModel& model = session.model();
  if (check_layer < 0 || check_layer >= model.num_layers())
    return absl::InvalidArgumentError(absl::StrCat("check layer ", check_layer, " of ", model.num_layers()));
  std::vector<float> scores(static_cast<size_t>(prompt.context_size()), 0.0f);
  if (prompt.chunk_ids.size() < 2) return scores;
  const c10::InferenceMode inference;
  const int32_t first = static_cast<int32_t>(prompt.chunk_ids[0].size());
  Rows rows;
  for (size_t i = 1; i < prompt.chunk_ids.size(); ++i) {
    const int32_t slot = prompt.prefix_size() + first + rows.size();
    rows.Append(prompt.chunk_ids[i], slot, slot);
  }
  at::Tensor deviation;
  CACHECLIP_RETURN_IF_ERROR(session.CheckRows(rows));
  ForwardPass pass(model.tensors(), model.config(), session.cache(), rows);
  const auto squared = [](const at::Tensor& fresh,
                          const at::Tensor& stale) {  // [n, heads, dim], [heads, n, dim] -> [n]
    return (fresh.to(at::kFloat) - stale.transpose(0, 1)).pow(2).sum({1, 2});
  };
  const ForwardHooks hooks{.before_store =
                               [&](int layer, const Projections& projections) {
                                 if (layer != check_layer) return absl::OkStatus();
                                 const int32_t begin = rows.slots.front(), end = rows.slots.back() + 1;
                                 deviation =
                                     (squared(projections.keys, session.cache().Keys(layer, begin, end)) +
                                      squared(projections.values, session.cache().Values(layer, begin, end)))
                                         .sqrt();
                                 return absl::OkStatus();
                               },
                           .cancellation = cancellation};
  CACHECLIP_RETURN_IF_ERROR(pass.RunToProjections(check_layer, hooks));
  const std::vector<float> fresh = ToVector(deviation);
  std::copy(fresh.begin(), fresh.end(), scores.begin() + first);
  return scores;
}

}  // namespace cacheclip
