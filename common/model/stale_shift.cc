#include "common/model/stale_shift.h"

#include <tuple>

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/std_mean.h>

#include "common/model/elementwise.h"

namespace cacheclip {
namespace {

// Features are standardised, so that one number fits all: times the number of tokens, on the diagonal.
constexpr double kRidge = 1.0;
constexpr double kLeastDeviation = 1e-3;
// A change seen in few tokens is theirs rather than the context's: with so many, half of it counts.
constexpr double kTokensToTrust = 8.0;
constexpr double kKeyShare = 0.5;  // of the values' share

at::Tensor JoinFeatures(const at::Tensor& values, const at::Tensor& unrotated_keys) {
  return at::cat({values.to(at::kFloat).flatten(1), unrotated_keys.to(at::kFloat).flatten(1)}, 1);
}

// features · weights + bias
struct AffineMap {
  at::Tensor weights;  // [features, features]
  at::Tensor bias;     // [1, features]
};

// The ridge regression of `changes` on `seen`, both [tokens, features].
AffineMap Regress(const at::Tensor& seen, const at::Tensor& changes) {
  const auto [deviation, mean] = at::std_mean(seen, {0}, /*unbiased=*/false, /*keepdim=*/true);
  const at::Tensor scale = (deviation + kLeastDeviation).reciprocal_();
  const at::Tensor mean_change = changes.mean(0, /*keepdim=*/true);
  const at::Tensor x = (seen - mean).mul_(scale);
  at::Tensor gram = at::mm(x.t(), x);
  gram.diagonal().add_(kRidge * static_cast<double>(seen.size(0)));
  const at::Tensor factor = std::get<0>(at::linalg_cholesky_ex(gram));
  const at::Tensor weights = at::cholesky_solve(at::mm(x.t(), changes - mean_change), factor) * scale.t();
  return {.weights = weights, .bias = at::addmm(mean_change, mean, weights, 1, -1)};
}

}  // namespace

StaleShift::Tokens StaleShift::At(const ModelTensors& tensors, std::span<const int32_t> slots) {
  Tokens tokens{.slots = {slots.begin(), slots.end()}, .forth = tensors.rotations->Of(slots)};
  tokens.back = {tokens.forth.cosine, -tokens.forth.sine};
  return tokens;
}

StaleShift::StaleShift(const ModelTensors& tensors, KvCache& cache, const Options& options)
    : tensors_(tensors),
      cache_(cache),
      fresh_(At(tensors, options.fresh)),
      stale_(At(tensors, options.stale)),
      share_(options.share * static_cast<double>(options.fresh.size()) /
             (static_cast<double>(options.fresh.size()) + kTokensToTrust)) {}

at::Tensor StaleShift::Features(int layer, const Tokens& tokens) const {
  const KvRows rows = cache_.Load(layer, tokens.slots);
  return JoinFeatures(rows.values, RotateHeads(rows.keys, tokens.back));
}

void StaleShift::MoveLayer(int layer, const Projections& projections) {
  if (layer == 0) return;  // keys and values of the token alone, whatever stands before it
  const auto num_fresh = static_cast<int64_t>(fresh_.slots.size());
  const at::Tensor seen = Features(layer, fresh_);
  const at::Tensor now = JoinFeatures(projections.values.slice(0, 0, num_fresh),
                                      projections.unrotated_keys.slice(0, 0, num_fresh));
  const AffineMap change = Regress(seen, now - seen);
  const at::Tensor stale = Features(layer, stale_);
  const int64_t width = stale.size(1) / 2, dim = 2 * stale_.forth.cosine.size(2);
  const auto moved = [&](int64_t begin, double share) {  // the half of the features from `begin` on
    at::Tensor weights = change.weights.slice(1, begin, begin + width) * share;
    weights.diagonal(-begin).add_(1);
    return at::addmm(change.bias.slice(1, begin, begin + width) * share, stale, weights)
        .view({stale.size(0), width / dim, dim});
  };
  const at::Tensor keys = RotateHeads(moved(width, kKeyShare * share_), stale_.forth);
  cache_.Store(layer, keys.to(tensors_.dtype), moved(0, share_).to(tensors_.dtype), stale_.slots);
}

}  // namespace cacheclip
