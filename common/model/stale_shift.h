// Carries over to tokens that stay stale what recomputing changed in others: the stale shift (docs/adr/0020).
// Recomputed tokens show, layer by layer, what being read in this context changes in keys and values. A ridge
// regression over them tells from a token's stale key and value by how much; it is applied to the tokens that
// were not recomputed, whose KV is moved by a share of it before anybody attends to them. The regression sees
// a token as its inner products with some of the examples, the landmarks (kernel ridge regression in their
// span: Williams and Seeger 2001, Using the Nyström method), which is as good and a fraction of the
// arithmetic. Internal to common/model; one pass, on its thread.
//
//   StaleShift shift(model.tensors(), cache, {.fresh = recomputed, .stale = others, .share = 0.8});
//   shift.MoveLayer(layer, projections);  // of each layer, while its fresh rows are not stored yet
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/model/forward_pass.h"
#include "common/model/kv_cache.h"
#include "common/model/linear_weights.h"
#include "common/model/rope.h"
#include "common/model/weights.h"

namespace cacheclip {

class StaleShift {
 public:
  struct Options {
    std::span<const int32_t> fresh, stale;  // ascending slots, each equal to its position; neither empty
    double share = 0;                       // 0 … 1, of the change; keys are moved by half of it
  };

  // `tensors` and `cache` must outlive the object; the slots are copied.
  StaleShift(const ModelTensors& tensors, KvCache& cache, const Options& options);

  // The first rows of `projections` are the fresh tokens'; the cache still holds their stale KV.
  void MoveLayer(int layer, const Projections& projections);

 private:
  struct Tokens {
    std::vector<int32_t> slots;
    RotationTable forth, back;  // RoPE of their positions, and what undoes it
  };
  // change of a token = changes(likeness(features)), of values and of keys
  struct Regression {
    at::Tensor features;     // of the examples
    LinearWeights likeness;  // to the landmarks
    at::Tensor solution;     // fp32 [landmarks, examples]: times the examples' changes it gives `changes`
  };

  static Tokens At(const ModelTensors& tensors, std::vector<int32_t> slots);
  // What the regression sees of tokens, KvCache::LoadUnrotated(): [tokens, features].
  at::Tensor Load(int layer, const Tokens& tokens) const;
  // Ridge regression on what the examples' features are, with weights in the landmarks' span.
  static Regression Regress(at::Tensor features);
  // Likeness to the landmarks -> change, learnt from `fresh` [examples, columns], fp32, in place of what
  // stands from column `first` on in the features.
  static LinearWeights Learn(const Regression& regression, at::Tensor fresh, int64_t first, double share);

  const ModelTensors& tensors_;
  KvCache& cache_;
  const double share_;
  at::Tensor example_rows_;  // int64: which of the fresh tokens the examples are
  Tokens examples_;
  std::vector<Tokens> stale_;  // in blocks, which are moved side by side
};

}  // namespace cacheclip
