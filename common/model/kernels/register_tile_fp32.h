// The register tiles of the fp32 kernels, as large as the registers of an instruction set hold. Included by
// kernel files alone (needs their compile flags).
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/model/kernels/simd.h"

namespace cacheclip::fp32 {
namespace {

// Rows and vectors of accumulators: all but a few of 16 or 32 registers.
constexpr int kTileRows = kLanes == 8 ? 6 : 8;
constexpr int kTileVectors = kLanes == 8 ? 2 : 3;
constexpr int kTileColumns = kTileVectors * kLanes;

// The accumulators of kRows rows, kVectors vectors each.
template <int kRows, int kVectors>
using Sums = Vec[kRows][kVectors];

template <int kRows, int kVectors>
inline void LoadSums(const float* c, size_t stride, Sums<kRows, kVectors>& sums) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) sums[r][v] = Load(c + r * stride + v * kLanes);
}

template <int kRows, int kVectors>
inline void StoreSums(const Sums<kRows, kVectors>& sums, float* c, size_t stride) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) Store(c + r * stride + v * kLanes, sums[r][v]);
}

// sums[r][…] += Σ_k a[r · a_row + k · a_step] · b[k · b_stride + 0..kVectors · kLanes).
template <int kRows, int kVectors>
inline void AddProducts(const float* a, size_t a_row, size_t a_step, const float* b, size_t b_stride,
                        int64_t steps, Sums<kRows, kVectors>& sums) {
#pragma GCC unroll 2
  for (int64_t k = 0; k < steps; ++k, a += a_step, b += b_stride) {
    Vec columns[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) columns[v] = Load(b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vec factor = Broadcast(a[r * a_row]);
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] = MultiplyAdd(factor, columns[v], sums[r][v]);
    }
  }
}

// The same added to c.
template <int kRows, int kVectors>
inline void Multiply(const float* a, size_t a_row, size_t a_step, const float* b, size_t b_stride,
                     int64_t steps, float* c, size_t c_stride) {
  Sums<kRows, kVectors> sums;
  LoadSums<kRows, kVectors>(c, c_stride, sums);
  AddProducts<kRows, kVectors>(a, a_row, a_step, b, b_stride, steps, sums);
  StoreSums<kRows, kVectors>(sums, c, c_stride);
}

constexpr int kColumns = 16, kRowsAtOnce = 6;  // of MultiplyRows()

// Multiply() of 16 columns for 1 to 6 rows whose steps are neighbours.
inline void MultiplyRows(int num_rows, const float* a, size_t a_row, const float* b, size_t b_stride,
                         int64_t steps, float* c, size_t c_stride) {
  constexpr int kVectors = kColumns / kLanes;
  switch (num_rows) {
    case 1:
      return Multiply<1, kVectors>(a, a_row, 1, b, b_stride, steps, c, c_stride);
    case 2:
      return Multiply<2, kVectors>(a, a_row, 1, b, b_stride, steps, c, c_stride);
    case 3:
      return Multiply<3, kVectors>(a, a_row, 1, b, b_stride, steps, c, c_stride);
    case 4:
      return Multiply<4, kVectors>(a, a_row, 1, b, b_stride, steps, c, c_stride);
    case 5:
      return Multiply<5, kVectors>(a, a_row, 1, b, b_stride, steps, c, c_stride);
    default:
      return Multiply<kRowsAtOnce, kVectors>(a, a_row, 1, b, b_stride, steps, c, c_stride);
  }
}

// The same product of a whole tile in 16-bit integers, two steps of k at once:
// c[kTileColumns · r + j] += Σ_p Σ_i a[r · a_row + 2p + i] · b[(kTileColumns · p + j) · 2 + i].
inline void MultiplyPairs(const int16_t* a, size_t a_row, const int16_t* b, int64_t pairs, int32_t* c) {
  IntVec sums[kTileRows][kTileVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kTileVectors; ++v) sums[r][v] = LoadInts(c + r * kTileColumns + v * kLanes);
#pragma GCC unroll 2
  for (int64_t p = 0; p < pairs; ++p, a += 2, b += 2 * kTileColumns) {
    IntVec columns[kTileVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kTileVectors; ++v) columns[v] = LoadInts(b + 2 * v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
      const IntVec factor = BroadcastPair(a + r * a_row);
#pragma GCC unroll 3
      for (int v = 0; v < kTileVectors; ++v) sums[r][v] = AddPairProducts(sums[r][v], factor, columns[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kTileVectors; ++v) StoreInts(c + r * kTileColumns + v * kLanes, sums[r][v]);
}

}  // namespace
}  // namespace cacheclip::fp32
