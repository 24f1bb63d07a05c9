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

// Elements from the start of keys or values to a slot's.
inline size_t SlotOffset(const AttentionArguments& a, int kv_head, int slot) {
  return (static_cast<size_t>(kv_head) * a.capacity + slot) * a.head_dim;
}

// What comes next, on its way while this is worked on: left to itself the hardware begins anew at every page.
template <typename Element>
inline void Prefetch(const Element* from, int count) {
  constexpr int kLine = 64 / sizeof(Element);
  for (int i = 0; i < count; i += kLine) _mm_prefetch(reinterpret_cast<const char*>(from + i), _MM_HINT_T0);
}

// The register tile of a panel of lanes: kPanelRows keys, or components, by kPanelLanes.
constexpr int kVectors = 3;
constexpr int kPanelLanes = kLanes * kVectors;
constexpr int kPanelRows = kLanes == 8 ? 4 : 8;

}  // namespace
}  // namespace cacheclip::fp32
