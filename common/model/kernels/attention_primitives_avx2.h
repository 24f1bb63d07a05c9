// What both ways of attention with AVX2 share: lanes, offsets and constants. A lane is a (row, head in group)
// pair of one kv head. Included by the AVX2 files alone (needs their compile flags).
#pragma once

#include <cstddef>

#include "common/model/kernels/attention_avx2.h"
#include "common/model/kernels/register_tile_avx2.h"

namespace cacheclip::avx2 {
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
constexpr int kPanelLanes = 8 * kVectors;
constexpr int kPanelRows = 4;

using Sums = __m256[kPanelRows][kVectors];

template <int kRows>
inline void LoadSums(const float* c, Sums& sums) {
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm256_loadu_ps(c + r * kPanelLanes + 8 * v);
}

template <int kRows>
inline void StoreSums(const Sums& sums, float* c) {
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) _mm256_storeu_ps(c + r * kPanelLanes + 8 * v, sums[r][v]);
}

// sums[r][lane] += Σ_k a[r · a_row + k · a_step] · b[k][lane].
template <int kRows>
inline void AddProducts(const float* a, size_t a_row, size_t a_step, const float* b, int steps, Sums& sums) {
#pragma GCC unroll 2
  for (int k = 0; k < steps; ++k, a += a_step, b += kPanelLanes) {
    __m256 lanes[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) lanes[v] = _mm256_loadu_ps(b + 8 * v);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const __m256 factor = _mm256_broadcast_ss(a + r * a_row);
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm256_fmadd_ps(factor, lanes[v], sums[r][v]);
    }
  }
}

}  // namespace
}  // namespace cacheclip::avx2
