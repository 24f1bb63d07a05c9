// What both ways of attention in fp32 share: lanes, offsets and constants. A lane is a (row, head in group)
// pair of one kv head. Included by kernel files alone (needs their compile flags).
#pragma once

#include <cstddef>

#include "common/model/kernels/attention_fp32.h"
#include "common/model/kernels/register_tile_fp32.h"

namespace cacheclip::fp32 {
namespace {

constexpr float kLog2E = 1.44269504f;  // softmax is computed in base 2
constexpr float kLowest = -1e30f;      // below every score; finite, so that differences stay numbers

inline int Group(const AttentionArguments& a) { return a.num_heads / a.num_kv_heads; }

// Elements from the start of queries or out to a lane's head: lane = row · group + head in group.
inline size_t LaneOffset(const AttentionArguments& a, int kv_head, int lane) {
  const int group = Group(a);
  return (static_cast<size_t>(lane / group) * a.num_heads + kv_head * group + lane % group) * a.head_dim;
}

inline size_t SlotOffset(const AttentionArguments& a, int kv_head, int slot) {
  return (static_cast<size_t>(kv_head) * a.capacity + slot) * a.head_dim;
}

// The register tile of a panel of lanes: kPanelRows keys, or components, by kPanelLanes.
constexpr int kVectors = 3;
constexpr int kPanelLanes = kLanes * kVectors;
constexpr int kPanelRows = kLanes == 8 ? 4 : 8;

using Sums = Vec[kPanelRows][kVectors];

template <int kRows>
inline void LoadSums(const float* c, Sums& sums) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) sums[r][v] = Load(c + r * kPanelLanes + kLanes * v);
}

template <int kRows>
inline void StoreSums(const Sums& sums, float* c) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) Store(c + r * kPanelLanes + kLanes * v, sums[r][v]);
}

// sums[r][lane] += Σ_k a[r · a_row + k · a_step] · b[k][lane].
template <int kRows>
inline void AddProducts(const float* a, size_t a_row, size_t a_step, const float* b, int steps, Sums& sums) {
#pragma GCC unroll 2
  for (int k = 0; k < steps; ++k, a += a_step, b += kPanelLanes) {
    Vec lanes[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) lanes[v] = Load(b + kLanes * v);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vec factor = Broadcast(a[r * a_row]);
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] = MultiplyAdd(factor, lanes[v], sums[r][v]);
    }
  }
}

}  // namespace
}  // namespace cacheclip::fp32
