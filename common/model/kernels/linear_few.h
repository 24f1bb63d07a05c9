// A few rows against packed weights (decode): each panel is streamed once, past all rows. Included by kernel
// files alone (needs their compile flags).
#pragma once

#include <algorithm>
#include <cstddef>

#include "common/model/kernels/linear_finish.h"
#include "common/model/kernels/linear_rounding.h"
#include "common/model/kernels/register_tile_fp32.h"

namespace cacheclip::fp32 {
namespace {

// The hardware's own prefetching starts anew at every page of 4 KiB. At the end of the last panel this names
// memory that is not there, which does no harm.
inline void Prefetch(const void* weights) {
  constexpr int kAhead = 1024;
  _mm_prefetch(static_cast<const char*>(weights) + kAhead, _MM_HINT_T0);
}

// Accumulators of a row that steps alternate between: one alone would wait for its own last sum.
template <int kRows>
constexpr int kChains = kRows <= 2 ? 4 / kRows : 1;

template <int kRows, typename Step>
inline void Alternate(int64_t num_steps, const Step& step) {
  int64_t i = 0;
  for (; i + kChains<kRows> <= num_steps; i += kChains<kRows>)
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains<kRows>; ++chain) step(i + chain, chain);
  for (; i < num_steps; ++i) step(i, 0);
}

// How weights are read as they stream by, `Number`s of x beside them: kBytes an output and step.
template <Element kElement>
struct Streamed;
template <>
struct Streamed<Element::kFp32> {
  using Number = float;
  static constexpr int kBytes = 4;
  static Vec Read(const void* x) { return Load(static_cast<const float*>(x)); }
};
template <>
struct Streamed<Element::kBf16> {
  using Number = float;
  static constexpr int kBytes = 2;
  static Vec Read(const void* x) { return WidenBf16(static_cast<const uint16_t*>(x)); }
};
template <>
struct Streamed<Element::kBf16Pairs> {
  using Number = uint16_t;
  static constexpr int kBytes = 4;
  static IntVec Read(const void* x) { return LoadInts(x); }
};
template <>
struct Streamed<Element::kInt16> {
  using Number = int16_t;
  static constexpr int kBytes = 4;
  static IntVec Read(const void* x) { return LoadInts(x); }
};
template <>
struct Streamed<Element::kInt8> {
  using Number = int16_t;
  static constexpr int kBytes = 2;
  static IntVec Read(const void* x) { return WidenInt8(x); }
};

// A panel against kRows rows, each weight read once. `products`: [kRows, 16] sums.
template <int kRows, Element kElement, typename Number>
void StreamPanel(const std::byte* weights, int64_t steps, const Number* x, int64_t x_stride,
                 float* products) {
  using Form = Streamed<kElement>;
  using Lanes = Arithmetic<Number>;
  typename Lanes::Sum sums[kChains<kRows>][kRows][kPanelVectors] = {};
  Alternate<kRows>(steps, [&](int64_t i, int chain) {
    const std::byte* const from = weights + i * kPanelOutputs * Form::kBytes;
    Prefetch(from);
#pragma GCC unroll 2
    for (int v = 0; v < kPanelVectors; ++v) {
      const auto column = Form::Read(from + v * kLanes * Form::kBytes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r)
        sums[chain][r][v] = Lanes::MultiplyAdd(Lanes::Broadcast(x + r * x_stride + i * Lanes::kStep), column,
                                               sums[chain][r][v]);
    }
  });
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kPanelVectors; ++v) {
      for (int chain = 1; chain < kChains<kRows>; ++chain)
        sums[0][r][v] = Lanes::Add(sums[0][r][v], sums[chain][r][v]);
      Lanes::Store(reinterpret_cast<typename Lanes::Stored*>(products + r * kPanelOutputs + v * kLanes),
                   sums[0][r][v]);
    }
}

// The same for up to kFewRows rows.
template <Element kElement, typename Number>
void StreamPanel(int64_t rows, const std::byte* weights, int64_t steps, const Number* x, int64_t x_stride,
                 float* products) {
  switch (rows) {
    case 1:
      return StreamPanel<1, kElement>(weights, steps, x, x_stride, products);
    case 2:
      return StreamPanel<2, kElement>(weights, steps, x, x_stride, products);
    case 3:
      return StreamPanel<3, kElement>(weights, steps, x, x_stride, products);
    default:
      return StreamPanel<kFewRows, kElement>(weights, steps, x, x_stride, products);
  }
}

// Of more rows than kFewRows, those behind the first find the panel in the core's own cache.
template <Element kElement>
void RunFewRows(const LinearArguments& a) {
  using Number = typename Streamed<kElement>::Number;
  const RoundedRows* const rounded = IsRounded(kElement) ? &Round(a) : nullptr;
  const Number* const x = static_cast<const Number*>(IsRounded(kElement) ? rounded->values.data() : a.x);
  const int64_t x_stride = IsRounded(kElement) ? rounded->stride : a.x_stride;
  constexpr int kStep = Arithmetic<Number>::kStep;
#pragma omp parallel for schedule(static) num_threads(a.num_threads)
  for (int64_t panel = 0; panel < a.weights.num_panels; ++panel)
    for (int64_t row = 0; row < a.rows; row += kFewRows) {
      const int64_t rows = std::min(kFewRows, a.rows - row);
      alignas(64) float products[kFewRows * kPanelOutputs];
      StreamPanel<kElement>(rows, Panel(a.weights, panel), (a.weights.inputs + kStep - 1) / kStep,
                            x + row * x_stride, x_stride, products);
      if constexpr (IsRounded(kElement))
        ScaleSums(a.weights, panel, &rounded->scales[static_cast<size_t>(row)], rows, products,
                  kPanelOutputs);
      Finisher(a, panel, row).Write(rows, products, kPanelOutputs);
    }
}

}  // namespace
}  // namespace cacheclip::fp32
