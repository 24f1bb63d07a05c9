// Attention in fp32 with the vectors of simd.h: how its work is shared out. Included by
// attention_fp32_avx2.cc and attention_fp32_avx512.cc alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "common/model/kernels/attention_block_fp32.h"
#include "common/model/kernels/attention_block_int16.h"
#include "common/model/kernels/attention_few_fp32.h"
#include "common/model/kernels/attention_few_int16.h"

namespace cacheclip::fp32 {
namespace {

constexpr int kMaxPanels = 4;  // that share a tile of keys and values in the second-level cache
constexpr int kItemsPerThread = 8;
constexpr int kMinKeysPerPart = 256;  // of few rows

inline int DivideUp(int a, int b) { return (a + b - 1) / b; }
inline int UpToVectors(int count) { return DivideUp(count, kLanes) * kLanes; }

template <typename Cache>
void RunPanels(const AttentionArguments& a, const Cache& cache) {
  const int lanes = a.num_rows * Group(a), num_panels = DivideUp(lanes, kPanelLanes);
  const int per_item =
      std::clamp(num_panels * a.num_kv_heads / (a.num_threads * kItemsPerThread), 1, kMaxPanels);
  const int items_per_head = DivideUp(num_panels, per_item);
#pragma omp parallel num_threads(a.num_threads)
  {
    // On the heap: what a thread_local holds itself is taken from the stack of every thread of the process.
    static thread_local std::vector<Panel<Cache>> panels(kMaxPanels);
#pragma omp for schedule(dynamic, 1)
    for (int item = 0; item < items_per_head * a.num_kv_heads; ++item) {
      const int kv_head = item % a.num_kv_heads;
      const int first = (items_per_head - 1 - item / a.num_kv_heads) * per_item;  // most keys first
      const int count = std::min(per_item, num_panels - first);
      for (int p = 0; p < count; ++p) {
        const int lane = (first + p) * kPanelLanes;
        panels[p].Begin(a, kv_head, lane, std::min(kPanelLanes, lanes - lane));
      }
      for (int key = 0; key < panels[count - 1].end(); key += kKeyTile)
        for (int p = 0; p < count; ++p)
          if (panels[p].Sees(key))
            panels[p].AddTile(a, cache, key, std::min(kKeyTile, panels[p].end() - key));
      for (int p = 0; p < count; ++p) panels[p].Finish(a);
    }
  }
}

// What keys begin … end - 1 leave of a kv head's lanes.
template <typename Cache>
void RunPart(const AttentionArguments& a, const Cache& cache, int kv_head, int begin, int end, Part& part) {
  const size_t lanes = static_cast<size_t>(a.num_rows) * Group(a);
  const size_t stride = static_cast<size_t>(UpToVectors(end - begin));
  static thread_local std::vector<float> weights;  // [lanes, stride]
  weights.resize(lanes * stride);
  ScoreKeys(a, cache, kv_head, begin, end, stride, weights.data());
  WeighScores(a, begin, end, stride, weights.data(), part);
  std::fill_n(part.out, lanes * a.head_dim, 0.0f);
  AddValues(a, cache, kv_head, begin, end, stride, weights.data(), part.out);
}

// Few rows: keys are cut in parts, so that every thread has some.
template <typename Cache>
void RunFewLanes(const AttentionArguments& a, const Cache& cache) {
  const int keys = a.limits[a.num_rows - 1] + 1;
  const int wanted = DivideUp(2 * a.num_threads, a.num_kv_heads);
  // In whole vectors: parts begin at slots whose pairs and scales are theirs alone.
  const int keys_per_part = UpToVectors(DivideUp(keys, std::clamp(keys / kMinKeysPerPart, 1, wanted)));
  const int num_parts = DivideUp(keys, keys_per_part);
  const size_t part_elements = static_cast<size_t>(a.num_rows) * Group(a) * a.head_dim;
  static thread_local std::vector<Part> parts;
  static thread_local std::vector<float> outs;
  parts.resize(static_cast<size_t>(a.num_kv_heads) * num_parts);
  outs.resize(parts.size() * part_elements);
  Part* const all = parts.data();  // of this thread, for those that help
  for (size_t i = 0; i < parts.size(); ++i) all[i].out = &outs[i * part_elements];
#pragma omp parallel for num_threads(a.num_threads) schedule(dynamic, 1)
  for (int item = 0; item < a.num_kv_heads * num_parts; ++item) {
    const int begin = item % num_parts * keys_per_part;
    RunPart(a, cache, item / num_parts, begin, std::min(keys, begin + keys_per_part), all[item]);
  }
  for (int head = 0; head < a.num_kv_heads; ++head)
    MergeParts(a, head, all + static_cast<size_t>(head) * num_parts, num_parts);
}

template <typename Cache>
void RunAttention(const AttentionArguments& a, const Cache& cache) {
  if (a.num_rows * Group(a) <= kFewLanes)
    RunFewLanes(a, cache);
  else
    RunPanels(a, cache);
}

}  // namespace
}  // namespace cacheclip::fp32
