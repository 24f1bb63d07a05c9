// The register tiles of the fp32 kernels, as large as the registers of an instruction set hold. Included by
// kernel files alone (needs their compile flags).
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/model/kernels/lane_arithmetic.h"

namespace cacheclip::fp32 {
namespace {

// Rows and vectors of accumulators: all but a few of 16 or 32 registers.
constexpr int kTileRows = kLanes == 8 ? 6 : 8;
constexpr int kTileVectors = kLanes == 8 ? 2 : 3;
constexpr int kTileColumns = kTileVectors * kLanes;

// The accumulators of kRows rows, kVectors vectors each.
template <int kRows, int kVectors, typename Element = float>
using Sums = typename Arithmetic<Element>::Sum[kRows][kVectors];

template <int kRows, int kVectors, typename Element>
inline void LoadSums(const typename Arithmetic<Element>::Stored* c, size_t stride,
                     Sums<kRows, kVectors, Element>& sums) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) sums[r][v] = Arithmetic<Element>::LoadSum(c + r * stride + v * kLanes);
}

template <int kRows, int kVectors, typename Element>
inline void StoreSums(const Sums<kRows, kVectors, Element>& sums, typename Arithmetic<Element>::Stored* c,
                      size_t stride) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) Arithmetic<Element>::Store(c + r * stride + v * kLanes, sums[r][v]);
}

// sums[r][…] += Σ_k a[r · a_row + k · a_step] · b[k · b_stride + 0..kVectors · kLanes), each an element, or
// the sum of two products where both are pairs.
template <int kRows, int kVectors, typename Element>
inline void AddProducts(const Element* a, size_t a_row, size_t a_step, const Element* b, size_t b_stride,
                        int64_t steps, Sums<kRows, kVectors, Element>& sums) {
  using Lanes = Arithmetic<Element>;
#pragma GCC unroll 2
  for (int64_t k = 0; k < steps; ++k, a += a_step, b += b_stride) {
    decltype(Lanes::Load(b)) columns[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) columns[v] = Lanes::Load(b + v * kLanes * Lanes::kStep);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const auto factor = Lanes::Broadcast(a + r * a_row);
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] = Lanes::MultiplyAdd(factor, columns[v], sums[r][v]);
    }
  }
}

// The same added to c.
template <int kRows, int kVectors, typename Element>
inline void Multiply(const Element* a, size_t a_row, size_t a_step, const Element* b, size_t b_stride,
                     int64_t steps, typename Arithmetic<Element>::Stored* c, size_t c_stride) {
  Sums<kRows, kVectors, Element> sums;
  LoadSums<kRows, kVectors, Element>(c, c_stride, sums);
  AddProducts<kRows, kVectors>(a, a_row, a_step, b, b_stride, steps, sums);
  StoreSums<kRows, kVectors, Element>(sums, c, c_stride);
}

// The same into c, whatever was there. A function of its own: GCC finds registers for all accumulators where
// nothing else is done with them.
template <int kRows, int kVectors, typename Element>
[[gnu::noinline]] void MultiplyInto(const Element* a, size_t a_row, size_t a_step, const Element* b,
                                    size_t b_stride, int64_t steps, typename Arithmetic<Element>::Stored* c,
                                    size_t c_stride) {
  Sums<kRows, kVectors, Element> sums = {};
  AddProducts<kRows, kVectors>(a, a_row, a_step, b, b_stride, steps, sums);
  StoreSums<kRows, kVectors, Element>(sums, c, c_stride);
}

constexpr int kRowsAtOnce = 6;  // at most, of WithRows()

// run.operator()<n>() for 1 to kRowsAtOnce rows.
template <typename Run>
inline void WithRows(int num_rows, const Run& run) {
  switch (num_rows) {
    case 1:
      return run.template operator()<1>();
    case 2:
      return run.template operator()<2>();
    case 3:
      return run.template operator()<3>();
    case 4:
      return run.template operator()<4>();
    case 5:
      return run.template operator()<5>();
    default:
      return run.template operator()<kRowsAtOnce>();
  }
}

}  // namespace
}  // namespace cacheclip::fp32
