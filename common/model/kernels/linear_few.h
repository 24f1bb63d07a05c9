// A few rows against packed weights (decode): each panel is streamed once, past all rows. Included by kernel
// files alone (needs their compile flags).
#pragma once

#include <cstring>
#include <type_traits>
#include <vector>

#include "common/model/kernels/linear_finish.h"

namespace cacheclip::fp32 {
namespace {

constexpr int64_t kFewRows = 4;

struct RoundedRows {
  std::vector<int16_t> values;  // [rows, stride]
  float scales[kFewRows];
  int64_t stride = 0;
};

// Of the calling thread, until its next call: decode allocates nothing.
inline const RoundedRows& Round(const LinearArguments& a) {
  static thread_local RoundedRows rounded;
  rounded.stride = 2 * Pairs(a.weights.inputs);
  rounded.values.resize(static_cast<size_t>(a.rows * rounded.stride));
  const float max_norm = MaxRowNorm(a.weights.element, a.weights.inputs);
  for (int64_t row = 0; row < a.rows; ++row)
    rounded.scales[row] = RoundRow(a.x + row * a.x_stride, a.weights.inputs, max_norm,
                                   &rounded.values[static_cast<size_t>(row * rounded.stride)]);
  return rounded;
}

// The hardware's own prefetching starts anew at every page of 4 KiB. At the end of the last panel this names
// memory that is not there, which does no harm.
inline void Prefetch(const void* weights) {
  constexpr int kAhead = 1024;
  _mm_prefetch(static_cast<const char*>(weights) + kAhead, _MM_HINT_T0);
}

// A panel against kRows rows, each weight read once. Steps alternate between accumulators: one alone would
// wait for its own last sum.
template <int kRows, Element kElement>
void StreamPanel(const LinearArguments& a, int64_t panel, float* products) {
  constexpr int kChains = kRows == 1 ? 4 : kRows == 2 ? 2 : 1;
  using Stored = std::conditional_t<kElement == Element::kBf16, uint16_t, float>;
  const Stored* const weights = reinterpret_cast<const Stored*>(Panel(a.weights, panel));
  Vec sums[kChains][kRows][kPanelVectors] = {};
  const auto step = [&](int64_t k, Vec(&chain)[kRows][kPanelVectors]) {
    const Stored* const from = weights + k * kPanelOutputs;
    Prefetch(from);
    Vec columns[kPanelVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kPanelVectors; ++v)
      if constexpr (kElement == Element::kBf16)
        columns[v] = WidenBf16(from + v * kLanes);
      else
        columns[v] = Load(from + v * kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Vec factor = Broadcast(a.x[r * a.x_stride + k]);
#pragma GCC unroll 2
      for (int v = 0; v < kPanelVectors; ++v) chain[r][v] = MultiplyAdd(factor, columns[v], chain[r][v]);
    }
  };
  int64_t k = 0;
  for (; k + kChains <= a.weights.inputs; k += kChains)
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains; ++chain) step(k + chain, sums[chain]);
  for (; k < a.weights.inputs; ++k) step(k, sums[0]);
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kPanelVectors; ++v) {
      for (int chain = 1; chain < kChains; ++chain) sums[0][r][v] = Add(sums[0][r][v], sums[chain][r][v]);
      Store(products + r * kPanelOutputs + v * kLanes, sums[0][r][v]);
    }
}

template <int kRows, Element kElement>
void StreamRoundedPanel(const LinearArguments& a, const RoundedRows& x, int64_t panel, float* products) {
  constexpr int kChains = kRows <= 2 ? 4 / kRows : 1;
  using Stored = std::conditional_t<kElement == Element::kInt16, int16_t, int8_t>;
  const Stored* const weights = reinterpret_cast<const Stored*>(Panel(a.weights, panel));
  IntVec sums[kChains][kRows][kPanelVectors] = {};
  const auto step = [&](int64_t p, IntVec(&chain)[kRows][kPanelVectors]) {
    const Stored* const from = weights + p * 2 * kPanelOutputs;
    Prefetch(from);
    IntVec columns[kPanelVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kPanelVectors; ++v)
      if constexpr (kElement == Element::kInt16)
        columns[v] = LoadInts(from + 2 * v * kLanes);
      else
        columns[v] = WidenInt8(from + 2 * v * kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const IntVec factor = BroadcastPair(&x.values[static_cast<size_t>(r * x.stride + 2 * p)]);
#pragma GCC unroll 2
      for (int v = 0; v < kPanelVectors; ++v) chain[r][v] = AddPairProducts(chain[r][v], factor, columns[v]);
    }
  };
  const int64_t pairs = Pairs(a.weights.inputs);
  int64_t p = 0;
  for (; p + kChains <= pairs; p += kChains)
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains; ++chain) step(p + chain, sums[chain]);
  for (; p < pairs; ++p) step(p, sums[0]);
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kPanelVectors; ++v) {
      for (int chain = 1; chain < kChains; ++chain) sums[0][r][v] = AddInts(sums[0][r][v], sums[chain][r][v]);
      StoreInts(products + r * kPanelOutputs + v * kLanes, sums[0][r][v]);
    }
  Scale(a.weights, panel, x.scales, kRows, products, kPanelOutputs);
}

template <int kRows>
void StreamPanels(const LinearArguments& a) {
  const RoundedRows* const rounded = IsRounded(a.weights.element) ? &Round(a) : nullptr;
#pragma omp parallel for schedule(static) num_threads(a.num_threads)
  for (int64_t panel = 0; panel < a.weights.num_panels; ++panel) {
    alignas(64) float products[kRows * kPanelOutputs];
    switch (a.weights.element) {
      case Element::kFp32:
        StreamPanel<kRows, Element::kFp32>(a, panel, products);
        break;
      case Element::kBf16:
        StreamPanel<kRows, Element::kBf16>(a, panel, products);
        break;
      case Element::kInt16:
        StreamRoundedPanel<kRows, Element::kInt16>(a, *rounded, panel, products);
        break;
      case Element::kInt8:
        StreamRoundedPanel<kRows, Element::kInt8>(a, *rounded, panel, products);
    }
    Finisher(a, panel, 0).Write(kRows, products, kPanelOutputs);
  }
}

inline void RunFewRows(const LinearArguments& a) {
  switch (a.rows) {
    case 0:
      return;
    case 1:
      return StreamPanels<1>(a);
    case 2:
      return StreamPanels<2>(a);
    case 3:
      return StreamPanels<3>(a);
    default:
      return StreamPanels<kFewRows>(a);
  }
}

}  // namespace
}  // namespace cacheclip::fp32
