#include "common/model/stale_shift.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/mm.h>

#include "common/model/elementwise.h"
#include "common/model/index_tensor.h"
#include "common/model/linear_weights.h"

namespace cacheclip {
namespace {

// Features are standardised, so that one number fits all: times the number of tokens, on the diagonal.
constexpr double kRidge = 1.0;
constexpr double kLeastDeviation = 1e-3;
// A change seen in few tokens is theirs rather than the context's: with so many, half of it counts.
constexpr double kTokensToTrust = 8.0;
constexpr double kKeyShare = 0.5;  // of the values' share
// With more of either the KL is the same within noise (docs/adr/0020).
constexpr int64_t kMaxExamples = 384;
constexpr int64_t kMaxLandmarks = 96;
// On the diagonal besides, as a share of its mean: landmarks can depend on one another, or be all the same.
constexpr double kLeastRidge = 1e-4;
constexpr size_t kBlock = 512;  // stale tokens moved at once: their features stay in a core's cache

// `most` of `size` rows, evenly apart; all if there are not more.
std::vector<int32_t> EvenlySpaced(int64_t size, int64_t most) {
  const int64_t count = std::min(size, most);
  std::vector<int32_t> rows;
  for (int64_t i = 0; i < count; ++i) rows.push_back(static_cast<int32_t>(i * size / count));
  return rows;
}

std::vector<int32_t> SlotsAt(std::span<const int32_t> slots, std::span<const int32_t> rows) {
  std::vector<int32_t> picked;
  for (const int32_t row : rows) picked.push_back(slots[static_cast<size_t>(row)]);
  return picked;
}

// change of a token = (features · likeness + likeness_bias) · changes + change_bias
struct Regression {
  at::Tensor likeness;       // [features, landmarks], the centre in
  at::Tensor likeness_bias;  // [1, landmarks]
  at::Tensor changes;        // [landmarks, features]
  at::Tensor change_bias;    // [1, features]
};

// The ridge regression of `changes` on `seen`, both [tokens, features], with weights in the landmarks' span.
Regression Regress(const at::Tensor& seen, const at::Tensor& changes) {
  const at::Tensor mean = seen.mean(0, /*keepdim=*/true), centred = seen - mean;
  const at::Tensor scale =
      (centred.square().mean(0, /*keepdim=*/true).sqrt_() + kLeastDeviation).reciprocal_();
  const at::Tensor x = centred * scale;
  const at::Tensor landmarks = IndexTensor(EvenlySpaced(x.size(0), kMaxLandmarks), x.device());
  const at::Tensor basis = x.index_select(0, landmarks).t();
  const at::Tensor seen_likeness = at::mm(x, basis);
  // Weights basis · a have the square aᵀ · (basisᵀ · basis) · a, and that product is the landmarks' likeness.
  at::Tensor gram = at::addmm(seen_likeness.index_select(0, landmarks), seen_likeness.t(), seen_likeness,
                              kRidge * static_cast<double>(x.size(0)));
  gram.diagonal().add_((gram.diagonal().mean() + 1) * kLeastRidge);
  const at::Tensor mean_change = changes.mean(0, /*keepdim=*/true);
  const at::Tensor factor = std::get<0>(at::linalg_cholesky_ex(gram));
  const at::Tensor likeness = basis * scale.t();
  return {.likeness = likeness,
          .likeness_bias = at::mm(mean, likeness).neg_(),
          .changes = at::cholesky_solve(at::mm(seen_likeness.t(), changes - mean_change), factor),
          .change_bias = mean_change};
}

}  // namespace

StaleShift::Tokens StaleShift::At(const ModelTensors& tensors, std::vector<int32_t> slots) {
  RotationTable forth = tensors.rotations->Of(slots);
  RotationTable back{forth.cosine, -forth.sine};
  return {.slots = std::move(slots), .forth = std::move(forth), .back = std::move(back)};
}

StaleShift::StaleShift(const ModelTensors& tensors, KvCache& cache, const Options& options)
    : tensors_(tensors),
      cache_(cache),
      share_(options.share * static_cast<double>(options.fresh.size()) /
             (static_cast<double>(options.fresh.size()) + kTokensToTrust)) {
  const std::vector<int32_t> rows = EvenlySpaced(static_cast<int64_t>(options.fresh.size()), kMaxExamples);
  example_rows_ = IndexTensor(rows, tensors.device);
  examples_ = At(tensors, SlotsAt(options.fresh, rows));
  for (size_t i = 0; i < options.stale.size(); i += kBlock) {
    const auto block = options.stale.subspan(i, std::min(kBlock, options.stale.size() - i));
    stale_.push_back(At(tensors, {block.begin(), block.end()}));
  }
}

StaleShift::Features StaleShift::Load(int layer, const Tokens& tokens) const {
  const KvRows rows = cache_.Load(layer, tokens.slots);
  return {.values = rows.values.flatten(1), .keys = RotateHeads(rows.keys, tokens.back).flatten(1)};
}

void StaleShift::MoveLayer(int layer, const Projections& projections) {
  if (layer == 0) return;  // keys and values of the token alone, whatever stands before it
  const Features before = Load(layer, examples_);
  const int64_t width = before.values.size(1);
  const at::Tensor seen = at::cat({before.values, before.keys}, 1);
  const auto change_of = [&](const at::Tensor& now, const at::Tensor& stale, double share) {
    return (now.index_select(0, example_rows_).to(at::kFloat).flatten(1) - stale) * share;
  };
  // The regression is linear in the changes: their shares are taken here, once for all tokens.
  const Regression change =
      Regress(seen, at::cat({change_of(projections.values, before.values, share_),
                             change_of(projections.unrotated_keys, before.keys, kKeyShare * share_)},
                            1));
  const auto weights = [&](const at::Tensor& matrix, const at::Tensor& bias) {  // matrix: [inputs, outputs]
    return LinearWeights(matrix.t(), bias, {.dtype = at::kFloat, .device = tensors_.device});
  };
  const LinearWeights value_likeness =
      weights(change.likeness.slice(0, 0, width), change.likeness_bias.flatten());
  const LinearWeights key_likeness = weights(change.likeness.slice(0, width), {});
  const at::Tensor change_bias = change.change_bias.flatten();
  const LinearWeights value_changes =
      weights(change.changes.slice(1, 0, width), change_bias.slice(0, 0, width));
  const LinearWeights key_changes = weights(change.changes.slice(1, width), change_bias.slice(0, width));
  for (const Tokens& block : stale_) {
    Features moved = Load(layer, block);
    at::Tensor likeness = value_likeness.Apply(moved.values);
    key_likeness.AddTo(likeness, moved.keys);
    value_changes.AddTo(moved.values, likeness);
    key_changes.AddTo(moved.keys, likeness);
    const auto heads = [&](const at::Tensor& features) {
      const int64_t dim = 2 * block.forth.cosine.size(2);
      return features.view({features.size(0), width / dim, dim});
    };
    cache_.Store(layer, RotateHeads(heads(moved.keys), block.forth).to(tensors_.dtype),
                 heads(moved.values).to(tensors_.dtype), block.slots);
  }
}

}  // namespace cacheclip
