// Rounding of fp32 to int16, for products of integers. Included by kernel files alone (needs their compile
// flags).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "common/model/kernels/simd.h"

namespace cacheclip::fp32 {
namespace {

// A row becomes integers, x ≈ scale · rounded, whose Euclidean norm is at most `max_norm` but for what
// rounding adds. `out`: `inputs` elements and, if they are odd, a zero. Returns the scale.
inline float RoundRow(const float* x, int64_t inputs, float max_norm, int16_t* out) {
  Vec largest = Zero(), squares = Zero();
  int64_t k = 0;
  for (; k + kLanes <= inputs; k += kLanes) {
    const Vec values = Load(x + k);
    largest = Max(largest, Magnitude(values));
    squares = MultiplyAdd(values, values, squares);
  }
  float top = MaxOf(largest), sum = SumOf(squares);
  for (; k < inputs; ++k) top = std::max(top, std::fabs(x[k])), sum += x[k] * x[k];
  const float scale = top > 0 ? std::max(top / INT16_MAX, std::sqrt(sum) / max_norm) : 1.0f;
  const Vec inverse = Broadcast(1 / scale);
  for (k = 0; k + kLanes <= inputs; k += kLanes) StoreRounded(out + k, Product(inverse, Load(x + k)));
  for (; k < inputs; ++k) out[k] = static_cast<int16_t>(std::lrint(x[k] / scale));
  if (inputs % 2 == 1) out[inputs] = 0;
  return scale;
}

// Weights of attention are rounded so that those of a lane add up to this: their products with values that
// are at most 2¹⁵ add up to less than 2³¹.
constexpr float kWeightSum = 32767;
constexpr float kLeastMass = 1e-30f;  // of weights: less is nothing

}  // namespace
}  // namespace cacheclip::fp32
