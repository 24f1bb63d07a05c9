// Panels of query rows (attention_panel.h) over an fp32 cache. Included by attention_fp32_run.h alone.
#pragma once

#include <vector>

#include "common/model/kernels/attention_panel.h"

namespace cacheclip::fp32 {
namespace {

template <>
class Panel<PlainCache> : public PanelLanes {
 public:
  void Begin(const AttentionArguments& a, int kv_head, int first_lane, int num_lanes) {
    queries_.resize(static_cast<size_t>(a.head_dim) * kPanelLanes);
    const float factor = a.scale * kLog2E;  // softmax in base 2
    BeginLanes(a, kv_head, first_lane, num_lanes, [&](int i, const float* query) {
      for (int d = 0; d < a.head_dim; ++d) queries_[d * kPanelLanes + i] = query[d] * factor;
    });
  }

  // Keys and values of slots key … key + num_keys - 1.
  void AddTile(const AttentionArguments& a, const PlainCache& cache, int key, int num_keys) {
    const float* keys = cache.keys + SlotOffset(a, kv_head_, key);
    const float* values = cache.values + SlotOffset(a, kv_head_, key);
    Vec tops[kVectors];
    Score(key, num_keys, tops, [&]<int kRows>(int k) {
      Sums<kRows, kVectors> sums;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
        for (int v = 0; v < kVectors; ++v) sums[r][v] = Broadcast(a.slot_bias[key + k + r] * kLog2E);
      AddProducts<kRows, kVectors>(keys + static_cast<size_t>(k) * dim_, dim_, 1, queries_.data(),
                                   kPanelLanes, dim_, sums);
      StoreSums<kRows, kVectors, float>(sums, weights_ + k * kPanelLanes, kPanelLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
        for (int v = 0; v < kVectors; ++v) tops[v] = Max(tops[v], sums[r][v]);
    });
    ToWeights(num_keys, tops);
    for (int d = 0; d < dim_; d += kPanelRows) {
      float* const out = &out_[d * kPanelLanes];
      Multiply<kPanelRows, kVectors>(values + d, 1, dim_, weights_, kPanelLanes, num_keys, out, kPanelLanes);
    }
  }

 private:
  // Scores become weights; `tops` are the lanes' highest scores.
  void ToWeights(int num_keys, const Vec (&tops)[kVectors]) {
    for (int v = 0; v < kPanelLanes; v += kLanes) {
      const Vec max = Maximum(v, tops[v / kLanes]);
      Vec sum = Load(sum_ + v);
      float* score = weights_ + v;
      for (float* const end = score + num_keys * kPanelLanes; score != end; score += kPanelLanes) {
        const Vec weight = Exp2(Subtract(Load(score), max));
        sum = Add(sum, weight);
        Store(score, weight);
      }
      Store(sum_ + v, sum);
    }
  }

  std::vector<float> queries_;  // [dim, lanes]
};

}  // namespace
}  // namespace cacheclip::fp32
