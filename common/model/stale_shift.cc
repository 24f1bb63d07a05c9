#include "common/model/stale_shift.h"

#include <algorithm>
#include <atomic>
#include <tuple>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <c10/core/InferenceMode.h>

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
constexpr size_t kBlock = 256;       // stale tokens that a thread moves at once, in its core's cache
constexpr size_t kBlocksAhead = 32;  // loaded while the change is learnt: memory stays within bounds

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

// run(0), …, run(count - 1), each on one thread of a CPU, as threads become free: for what is this small,
// waking the threads for every operation would take longer than the operations.
template <typename Run>
void ShareOut(const at::Device& device, size_t count, const Run& run) {
  std::atomic<size_t> next = 0;
  const auto take = [&](int64_t, int64_t) {
    const c10::InferenceMode on_each_thread;
    for (size_t i = next++; i < count; i = next++) run(i);
  };
  if (device.is_cpu())
    at::parallel_for(0, at::get_num_threads(), /*grain_size=*/1, take);
  else
    take(0, 1);
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

at::Tensor StaleShift::Load(int layer, const Tokens& tokens) const {
  const KvRows rows = cache_.Load(layer, tokens.slots);
  return at::cat({rows.values.flatten(1), RotateHeads(rows.keys, tokens.back).flatten(1)}, 1);
}

void StaleShift::Store(int layer, const Tokens& tokens, const at::Tensor& features) const {
  const int64_t width = features.size(1) / 2, dim = 2 * tokens.forth.cosine.size(2);
  const auto heads = [&](int64_t first) {
    return features.slice(1, first, first + width).view({features.size(0), width / dim, dim});
  };
  cache_.Store(layer, RotateHeads(heads(width), tokens.forth).to(tensors_.dtype),
               heads(0).to(tensors_.dtype).contiguous(), tokens.slots);
}

StaleShift::Change StaleShift::Regress(const at::Tensor& seen, const at::Tensor& changes,
                                       const WeightOptions& options) {
  const at::Tensor mean = seen.mean(0, /*keepdim=*/true);
  const at::Tensor deviation = (seen - mean).square_().mean(0, /*keepdim=*/true).sqrt_();
  const at::Tensor scale = deviation.add_(kLeastDeviation).reciprocal_();
  const at::Tensor landmarks = IndexTensor(EvenlySpaced(seen.size(0), kMaxLandmarks), seen.device());
  const at::Tensor basis = (seen.index_select(0, landmarks) - mean).mul_(scale).mul_(scale);
  LinearWeights likeness(basis, at::mv(basis, mean.flatten()).neg_(), options);
  const at::Tensor seen_likeness = likeness.Apply(seen);  // products of standardised features
  // Weights basisᵀ · a have the square aᵀ · (basis · basisᵀ) · a, and that product is the landmarks'
  // likeness.
  at::Tensor gram = at::addmm(seen_likeness.index_select(0, landmarks), seen_likeness.t(), seen_likeness,
                              kRidge * static_cast<double>(seen.size(0)));
  gram.diagonal().add_((gram.diagonal().mean() + 1) * kLeastRidge);
  const at::Tensor mean_change = changes.mean(0, /*keepdim=*/true);
  // By the inverse: its matrix is small, and LAPACK solves for as many columns as there are features slowly.
  const at::Tensor inverse = at::cholesky_inverse(std::get<0>(at::linalg_cholesky_ex(gram)));
  const at::Tensor weights = at::mm(inverse, at::mm(seen_likeness.t(), changes - mean_change));
  return {.likeness = std::move(likeness),
          .changes = LinearWeights(weights.t(), mean_change.flatten(), options)};
}

StaleShift::Change StaleShift::Learn(int layer, const Projections& projections) const {
  const at::Tensor before = Load(layer, examples_);
  const auto fresh = [&](const at::Tensor& rows) {
    return rows.index_select(0, example_rows_).to(at::kFloat).flatten(1);
  };
  at::Tensor changes =
      at::cat({fresh(projections.values), fresh(projections.unrotated_keys)}, 1).sub_(before);
  // The regression is linear in the changes: their shares are taken here, once for all tokens.
  const int64_t width = changes.size(1) / 2;
  changes.slice(1, 0, width).mul_(share_);
  changes.slice(1, width).mul_(kKeyShare * share_);
  return Regress(before, changes,
                 {.dtype = at::kFloat, .device = tensors_.device, .rounding = WeightRounding::kInt16});
}

void StaleShift::MoveLayer(int layer, const Projections& projections) {
  if (layer == 0) return;  // keys and values of the token alone, whatever stands before it
  const size_t blocks = stale_.size(), ahead = std::min(blocks, kBlocksAhead);
  std::vector<at::Tensor> loaded(ahead);
  Change change;
  ShareOut(tensors_.device, ahead + 1, [&](size_t i) {
    if (i == 0)
      change = Learn(layer, projections);
    else
      loaded[i - 1] = Load(layer, stale_[i - 1]);
  });
  ShareOut(tensors_.device, blocks, [&](size_t i) {
    at::Tensor features = i < ahead ? loaded[i] : Load(layer, stale_[i]);
    change.changes.AddTo(features, change.likeness.Apply(features));
    Store(layer, stale_[i], features);
  });
}

}  // namespace cacheclip
