// A few rows against packed weights (decode): each panel is streamed once, past all rows. Included by kernel
// files alone (needs their compile flags).
#pragma once

#include <type_traits>

#include "common/model/kernels/linear_finish.h"

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

// A panel against kRows rows, each weight read once.
template <int kRows, Element kElement>
void StreamPanel(const LinearArguments& a, int64_t panel, float* products) {
  using Stored = std::conditional_t<kElement == Element::kBf16, uint16_t, float>;
  const Stored* const weights = reinterpret_cast<const Stored*>(Panel(a.weights, panel));
  Vec sums[kChains<kRows>][kRows][kPanelVectors] = {};
  Alternate<kRows>(a.weights.inputs, [&](int64_t k, int chain) {
    const Stored* const from = weights + k * kPanelOutputs;
    Prefetch(from);
#pragma GCC unroll 2
    for (int v = 0; v < kPanelVectors; ++v) {
      Vec column;
      if constexpr (kElement == Element::kBf16)
        column = WidenBf16(from + v * kLanes);
      else
        column = Load(from + v * kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r)
        sums[chain][r][v] = MultiplyAdd(Broadcast(a.x[r * a.x_stride + k]), column, sums[chain][r][v]);
    }
  });
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kPanelVectors; ++v) {
      for (int chain = 1; chain < kChains<kRows>; ++chain)
        sums[0][r][v] = Add(sums[0][r][v], sums[chain][r][v]);
      Store(products + r * kPanelOutputs + v * kLanes, sums[0][r][v]);
    }
}

template <int kRows, Element kElement>
void StreamRoundedPanel(const LinearArguments& a, const RoundedRows& x, int64_t panel, float* products) {
  using Stored = std::conditional_t<kElement == Element::kInt16, int16_t, int8_t>;
  const Stored* const weights = reinterpret_cast<const Stored*>(Panel(a.weights, panel));
  IntVec sums[kChains<kRows>][kRows][kPanelVectors] = {};
  Alternate<kRows>(Pairs(a.weights.inputs), [&](int64_t p, int chain) {
    const Stored* const from = weights + p * 2 * kPanelOutputs;
    Prefetch(from);
#pragma GCC unroll 2
    for (int v = 0; v < kPanelVectors; ++v) {
      IntVec column;
      if constexpr (kElement == Element::kInt16)
        column = LoadInts(from + 2 * v * kLanes);
      else
        column = WidenInt8(from + 2 * v * kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const IntVec factor = BroadcastPair(&x.values[static_cast<size_t>(r * x.stride + 2 * p)]);
        sums[chain][r][v] = AddPairProducts(sums[chain][r][v], factor, column);
      }
    }
  });
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kPanelVectors; ++v) {
      for (int chain = 1; chain < kChains<kRows>; ++chain)
        sums[0][r][v] = AddInts(sums[0][r][v], sums[chain][r][v]);
      StoreInts(products + r * kPanelOutputs + v * kLanes, sums[0][r][v]);
    }
  ScaleSums(a.weights, panel, x.scales, kRows, products, kPanelOutputs);
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
