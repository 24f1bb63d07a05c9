#include "common/model/stale_shift.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <tuple>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <c10/core/InferenceMode.h>

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
constexpr int64_t kMaxExamples = 256;
constexpr int64_t kMaxLandmarks = 64;
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

// Panels of the arithmetic that rows are loaded in: int16 of fp32, which is as exact.
WeightOptions OptionsFor(const at::Tensor& features) {
  const bool wide = features.scalar_type() == at::kFloat;
  return {.dtype = features.scalar_type(),
          .device = features.device(),
          .rounding = wide ? WeightRounding::kInt16 : WeightRounding::kNone};
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
  for (auto rest = options.stale; !rest.empty();) {
    size_t size = std::min(kBlock, rest.size());
    const auto run = [&](size_t i) { return rest[i] / KvCache::kSlotsTogether; };
    while (size < rest.size() && run(size) == run(size - 1)) ++size;
    stale_.push_back(At(tensors, {rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(size)}));
    rest = rest.subspan(size);
  }
}

at::Tensor StaleShift::Load(int layer, const Tokens& tokens) const {
  return cache_.LoadUnrotated(layer, tokens.slots, tokens.back);
}

StaleShift::Regression StaleShift::Regress(at::Tensor features) {
  const at::Tensor seen = features.to(at::kFloat);
  const at::Tensor mean = seen.mean(0, /*keepdim=*/true);
  const at::Tensor deviation =
      (seen - mean).square_().mean(0, /*keepdim=*/true).sqrt_().add_(kLeastDeviation);
  const at::Tensor landmarks = IndexTensor(EvenlySpaced(seen.size(0), kMaxLandmarks), seen.device());
  // Rounded before anything is made of it: features can be small beside their mean, and likeness to two
  // landmarks nearly the same.
  const at::Tensor basis = (seen.index_select(0, landmarks) - mean)
                               .div_(deviation)
                               .div_(deviation)
                               .to(features.scalar_type())
                               .to(at::kFloat);
  LinearWeights likeness(basis, at::mv(basis, mean.flatten()).neg_(), OptionsFor(features));
  const at::Tensor seen_likeness = likeness.ApplyWide(features);  // products of standardised features
  // The square of weights basisᵀ · a on standardised features.
  const at::Tensor standardised = basis * deviation;
  at::Tensor gram = at::mm(standardised, standardised.t());
  gram = at::addmm(gram, seen_likeness.t(), seen_likeness, kRidge * static_cast<double>(seen.size(0)));
  gram.diagonal().add_((gram.diagonal().mean() + 1) * kLeastRidge);
  // By the inverse: its matrix is small, and LAPACK solves for as many columns as there are examples slowly.
  const at::Tensor inverse = at::cholesky_inverse(std::get<0>(at::linalg_cholesky_ex(gram)));
  return {.features = std::move(features),
          .likeness = std::move(likeness),
          .solution = at::mm(inverse, seen_likeness.t())};
}

LinearWeights StaleShift::Learn(const Regression& regression, at::Tensor fresh, int64_t first, double share) {
  // The regression is linear in the changes: their share is taken here, once for all tokens.
  const at::Tensor changes =
      fresh.sub_(regression.features.slice(1, first, first + fresh.size(1))).mul_(share);
  const at::Tensor mean = changes.mean(0, /*keepdim=*/true);
  const at::Tensor weights = at::mm(regression.solution, changes - mean);
  return LinearWeights(weights.t(), mean.flatten(), OptionsFor(regression.features));
}

void StaleShift::MoveLayer(int layer, const Projections& projections) {
  if (layer == 0) return;  // keys and values of the token alone, whatever stands before it
  const size_t blocks = stale_.size(), ahead = std::min(blocks, kBlocksAhead);
  Regression regression;
  const std::array of_rows{projections.values, projections.unrotated_keys};
  const std::array shares{share_, kKeyShare * share_};
  std::array<at::Tensor, 2> fresh;
  std::array<LinearWeights, 2> changes;  // of values, of keys
  std::vector<at::Tensor> loaded(ahead);
  ShareOut(tensors_.device, 3 + ahead, [&](size_t i) {
    if (i == 0)
      regression = Regress(Load(layer, examples_));
    else if (i <= 2)
      fresh[i - 1] = of_rows[i - 1].index_select(0, example_rows_).to(at::kFloat).flatten(1);
    else
      loaded[i - 3] = Load(layer, stale_[i - 3]);
  });
  ShareOut(tensors_.device, 2, [&](size_t i) {
    const int64_t width = fresh[i].size(1);
    changes[i] = Learn(regression, fresh[i], static_cast<int64_t>(i) * width, shares[i]);
  });
  ShareOut(tensors_.device, blocks, [&](size_t i) {
    const at::Tensor features = i < ahead ? loaded[i] : Load(layer, stale_[i]);
    const at::Tensor likeness = regression.likeness.Apply(features);
    cache_.AddUnrotated(layer, stale_[i].slots, stale_[i].forth, changes[0].Apply(likeness),
                        changes[1].Apply(likeness));
  });
}

}  // namespace cacheclip
