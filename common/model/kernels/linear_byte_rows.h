// Rows of x rounded to int8, for products with int8 weights where the CPU multiplies bytes (AVX-512 VNNI):
// four inputs a lane and instruction, twice as many as of int16. Eight bits are few for a row whose largest
// inputs stand far out, so each kByteGroup inputs have a scale of their own. Included by kernel files alone
// (needs their compile flags).
#pragma once

#include <algorithm>
#include <vector>

#include "common/model/kernels/linear_finish.h"
#include "common/model/kernels/linear_panels.h"
#include "common/model/kernels/linear_rounding.h"

namespace cacheclip::fp32 {
namespace {

constexpr float kLeastByteRow = 1e-30f;  // largest inputs below it are taken as this large

// A group of a row becomes bytes, x ≈ scale · rounded: `inputs` of them and zeros up to kByteGroup. Returns
// the scale, and adds what it stands for to `sums`.
inline float RoundToBytes(const float* x, int64_t inputs, int8_t* out, Vec& sums) {
  constexpr int kVectors = kByteGroup / kLanes;
  Vec values[kVectors], largest = Broadcast(kLeastByteRow);
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    values[v] = LoadFirst(x + v * kLanes, inputs - v * kLanes);
    largest = Max(largest, Magnitude(values[v]));
  }
  const float scale = MaxOf(largest) / INT8_MAX;
  const Vec inverse = Broadcast(1 / scale);
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const IntVec rounded = Round(Product(inverse, values[v]));
    StoreBytes(out + v * kLanes, rounded);
    sums = MultiplyAdd(Broadcast(scale), ToFloat(rounded), sums);
  }
  return scale;
}

// c[r · kTileColumns + …] += scales[r] · Σ_k a[r · a_row + k] · b[k · kTileColumns + …], the sum in integers.
[[gnu::noinline]] inline void AddGroup(const int8_t* a, size_t a_row, const uint8_t* b, int64_t quads,
                                       const float* scales, float* c) {
  Sums<kTileRows, kTileVectors, int8_t> sums = {};
  fp32::AddProducts<kTileRows, kTileVectors>(a, a_row, 4, reinterpret_cast<const int8_t*>(b),
                                             4 * kTileColumns, quads, sums);
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kTileVectors; ++v) {
      // Where GCC sees what becomes of the sums it copies them at every step, and runs out of registers.
      asm volatile("" : "+v"(sums[r][v]));
      float* const to = c + r * kTileColumns + v * kLanes;
      Store(to, MultiplyAdd(Broadcast(scales[r]), ToFloat(sums[r][v]), Load(to)));
    }
}

class ByteRows {
 public:
  static constexpr int64_t kInputBytes = 1;

  static int64_t InputsAtOnce(int64_t inputs) {
    return kByteGroup * EvenPart(Groups(inputs), 4 * kWidenedSteps / kByteGroup);
  }
  static const uint8_t* Widen(WidePanels& panels, int64_t first_input, int64_t inputs) {
    return panels.JoinPairs(first_input / 2, Pairs(inputs));
  }

  void Begin(const LinearArguments& a, int64_t first_row, int64_t rows) {
    const int64_t inputs = a.weights.inputs, groups = Groups(inputs);
    rows_ = Tiles(rows) * kTileRows, stride_ = groups * kByteGroup;
    rounded_.resize(static_cast<size_t>(rows_ * stride_));
    scales_.resize(static_cast<size_t>(groups * rows_));
    offsets_.resize(static_cast<size_t>(rows_));
    for (int64_t r = 0; r < rows_; ++r) {
      const float* const row = WideRow(a, first_row + std::min(r, rows - 1), wide_);
      int8_t* const to = &rounded_[static_cast<size_t>(r * stride_)];
      Vec sums = Zero();
      for (int64_t group = 0, k = 0; group < groups; ++group, k += kByteGroup)
        scales_[static_cast<size_t>(group * rows_ + r)] = RoundToBytes(row + k, inputs - k, to + k, sums);
      offsets_[static_cast<size_t>(r)] = -float{kByteOffset} * SumOf(sums);
    }
  }

  void AddProducts(int64_t row, int64_t first_input, int64_t inputs, const uint8_t* b,
                   float* products) const {
    for (int64_t k = 0; k < inputs; k += kByteGroup) {
      const auto group = static_cast<size_t>((first_input + k) / kByteGroup * rows_ + row);
      AddGroup(&rounded_[static_cast<size_t>(row * stride_ + first_input + k)], static_cast<size_t>(stride_),
               b + k * kTileColumns, (std::min(kByteGroup, inputs - k) + 3) / 4, &scales_[group], products);
    }
  }

  void Scale(const PackedWeights& packed, int64_t panel, int64_t row, int64_t rows, float* products) const {
    for (int64_t r = 0; r < rows; ++r, products += kTileColumns)
      for (int v = 0; v < kPanelOutputs; v += kLanes)
        Store(products + v,
              Product(Load(packed.scales + panel * kPanelOutputs + v),
                      Add(Load(products + v), Broadcast(offsets_[static_cast<size_t>(row + r)]))));
  }

 private:
  static int64_t Groups(int64_t inputs) { return (inputs + kByteGroup - 1) / kByteGroup; }

  int64_t rows_ = 0, stride_ = 0;
  std::vector<int8_t> rounded_;  // [rows_, stride_], in whole tiles
  std::vector<float> scales_;    // [groups, rows_] of rounded_
  std::vector<float> offsets_;  // [rows_]: what kByteOffset more in each weight adds to a row's sums, negated
  std::vector<float> wide_;     // of one row
};

}  // namespace
}  // namespace cacheclip::fp32
