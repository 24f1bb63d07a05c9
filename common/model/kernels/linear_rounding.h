// Rows of x before they are multiplied: widened to fp32, and a few of them rounded to int16. Included by
// kernel files alone (needs their compile flags).
#pragma once

#include <cstdint>
#include <vector>

#include "common/model/kernels/bf16.h"
#include "common/model/kernels/linear.h"
#include "common/model/kernels/rounding.h"

namespace cacheclip::fp32 {
namespace {

// Row `row` of x in fp32: where it lies, or widened into `buffer`.
inline const float* WideRow(const LinearArguments& a, int64_t row, std::vector<float>& buffer) {
  if (a.x_element == Element::kFp32) return static_cast<const float*>(a.x) + row * a.x_stride;
  const uint16_t* const from = static_cast<const uint16_t*>(a.x) + row * a.x_stride;
  const int64_t inputs = a.weights.inputs;
  buffer.resize(static_cast<size_t>(inputs));
  int64_t k = 0;
  for (; k + kLanes <= inputs; k += kLanes) Store(&buffer[static_cast<size_t>(k)], WidenBf16(from + k));
  for (; k < inputs; ++k) buffer[static_cast<size_t>(k)] = FromBf16(from[k]);
  return buffer.data();
}

struct RoundedRows {
  std::vector<int16_t> values;  // [rows, stride]
  float scales[kFewRows];
  int64_t stride = 0;
  std::vector<float> wide;  // of one row
};

// Of the calling thread, until its next call: decode allocates nothing.
inline const RoundedRows& Round(const LinearArguments& a) {
  static thread_local RoundedRows rounded;
  rounded.stride = 2 * Pairs(a.weights.inputs);
  rounded.values.resize(static_cast<size_t>(a.rows * rounded.stride));
  const float max_norm = MaxRowNorm(a.weights.element, a.weights.inputs);
  for (int64_t row = 0; row < a.rows; ++row)
    rounded.scales[row] = RoundRow(WideRow(a, row, rounded.wide), a.weights.inputs, max_norm,
                                   &rounded.values[static_cast<size_t>(row * rounded.stride)]);
  return rounded;
}

}  // namespace
}  // namespace cacheclip::fp32
