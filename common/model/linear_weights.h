// One weight matrix of a model and its products with rows: packed panels on CPUs with AVX2 that compute in
// fp32 or hold weights as int8, and on those that multiply bf16 (kernels/linear.h); a tensor and libtorch's
// products everywhere else.
// Internal to common/model. Immutable; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/model/kernels/linear.h"
#include "common/model/weight_arena.h"

namespace cacheclip {

enum class WeightRounding {
  kNone,
  kInt16,  // with a scale for each output: nearer to bf16 weights than bf16 arithmetic is to them
  kInt8,   // the same, in half of the memory
};

struct WeightOptions {
  at::ScalarType dtype = at::kBFloat16;  // arithmetic: of rows, and of weights held as a tensor
  at::Device device = at::kCPU;
  // Where panels are not to be had int8 weights are kept in `dtype` (the same answers, no less memory), and
  // there is no int16.
  WeightRounding rounding = WeightRounding::kNone;
  WeightArena* arena = nullptr;  // where panels lie; null: each in memory of its own
};

class LinearWeights {
 public:
  LinearWeights() = default;  // undefined

  // `weight` [outputs, inputs] in any floating-point dtype, as it is stored; `bias` undefined or [outputs].
  LinearWeights(const at::Tensor& weight, const at::Tensor& bias, const WeightOptions& options);

  // Of two matrices [outputs, inputs], for ApplyGated().
  static LinearWeights Gated(const at::Tensor& gate, const at::Tensor& up, const WeightOptions& options);

  // x · Wᵀ + bias: [rows, inputs] -> [rows, outputs], in x's dtype.
  at::Tensor Apply(const at::Tensor& x) const;

  // sum += x · Wᵀ + bias.
  void AddTo(at::Tensor& sum, const at::Tensor& x) const;

  // silu(x · gateᵀ) · (x · upᵀ).
  at::Tensor ApplyGated(const at::Tensor& x) const;

  // Apply() in fp32 where x is bf16: logits near 20 are 0.125 apart in bf16, too far for the few rows that
  // choose a token.
  at::Tensor ApplyWide(const at::Tensor& x) const;

  // Rows `ids` [n] of the matrix, in the compute dtype: a tied head serves as the embedding.
  at::Tensor Rows(const at::Tensor& ids) const;

  bool is_packed() const { return packed_.panels != nullptr; }
  int64_t num_bytes() const;

 private:
  void Pack(const std::vector<at::Tensor>& parts, const WeightOptions& options);
  at::Tensor RunPacked(const at::Tensor& x, fp32::Epilogue epilogue, at::Tensor out) const;

  at::ScalarType dtype_ = at::kBFloat16;  // arithmetic
  int64_t outputs_ = 0;                   // columns of Apply() or ApplyGated()
  at::Tensor weight_, bias_;              // [outputs, inputs] unless packed; [outputs]
  at::Tensor panels_, scales_;            // storage of packed_
  fp32::PackedWeights packed_{fp32::Element::kFp32, 0, 0, nullptr, nullptr};
};

}  // namespace cacheclip
