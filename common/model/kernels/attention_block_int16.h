// Panels of query rows (attention_panel.h) over a rounded cache: both products in integers. Keys and queries
// have a scale each; a value's scale goes into its weight, and weights are rounded anew for each tile of
// keys, against the sum of a lane's. Included by attention_fp32_run.h alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "common/model/kernels/attention_panel.h"
#include "common/model/kernels/packed_weights.h"
#include "common/model/kernels/rounding.h"

namespace cacheclip::fp32 {
namespace {

template <>
class Panel<RoundedCache> : public PanelLanes {
 public:
  void Begin(const AttentionArguments& a, int kv_head, int first_lane, int num_lanes) {
    queries_.resize(static_cast<size_t>(a.head_dim) * kPanelLanes);
    rounded_.resize(static_cast<size_t>(a.head_dim));
    const float max_norm = MaxWeightNorm(a.head_dim), factor = a.scale * kLog2E;
    BeginLanes(a, kv_head, first_lane, num_lanes, [&](int i, const float* query) {
      factors_[i] = factor * RoundRow(query, a.head_dim, max_norm, rounded_.data());
      const int16_t* const end = rounded_.data() + a.head_dim;
      int16_t* to = &queries_[2 * i];
      for (const int16_t* from = rounded_.data(); from != end; from += 2, to += 2 * kPanelLanes)
        to[0] = from[0], to[1] = from[1];
    });
  }

  // Keys and values of slots key … key + num_keys - 1; key is even.
  void AddTile(const AttentionArguments& a, const RoundedCache& cache, int key, int num_keys) {
    const int16_t* const keys = cache.keys + SlotOffset(a, kv_head_, key);
    const int16_t* const values = cache.values + SlotOffset(a, kv_head_, key);
    const size_t first = static_cast<size_t>(kv_head_) * a.capacity + key;
    const float *const key_scales = cache.key_scales + first, *const bias = a.slot_bias + key;
    Vec tops[kVectors];
    Score(key, num_keys, tops, [&]<int kRows>(int k) {
      MultiplyInto<kRows, kVectors>(keys + static_cast<size_t>(k) * dim_, dim_, 2, queries_.data(),
                                    2 * kPanelLanes, dim_ / 2, sums_, kPanelLanes);
      for (int r = 0; r < kRows; ++r) {
        const Vec key_scale = Broadcast(key_scales[k + r]), key_bias = Broadcast(bias[k + r] * kLog2E);
#pragma GCC unroll 3
        for (int v = 0; v < kVectors; ++v) {
          const Vec sum = ToFloat(LoadInts(sums_ + r * kPanelLanes + v * kLanes));
          const Vec score = MultiplyAdd(Product(sum, key_scale), Load(factors_ + v * kLanes), key_bias);
          Store(weights_ + (k + r) * kPanelLanes + v * kLanes, score);
          tops[v] = Max(tops[v], score);
        }
      }
    });
    ToWeights(num_keys, cache.value_scales + first, tops);
    float* out = out_.data();
    for (const int16_t *value = values, *const end = values + 2 * dim_; value != end;
         value += 2 * kPanelRows) {
      MultiplyInto<kPanelRows, kVectors>(value, 2, 2 * dim_, pairs_, 2 * kPanelLanes, (num_keys + 1) / 2,
                                         sums_, kPanelLanes);
      for (const int32_t* sum = sums_; sum != std::end(sums_); sum += kPanelLanes, out += kPanelLanes)
#pragma GCC unroll 3
        for (int v = 0; v < kPanelLanes; v += kLanes)
          Store(out + v, MultiplyAdd(ToFloat(LoadInts(sum + v)), Load(units_ + v), Load(out + v)));
    }
  }

 private:
  // Scores become weights, these are multiplied by the values' scales, and become pairs of integers; `tops`
  // are the lanes' highest scores.
  void ToWeights(int num_keys, const float* value_scales, const Vec (&tops)[kVectors]) {
    for (int v = 0; v < kPanelLanes; v += kLanes) {
      const Vec max = Maximum(v, tops[v / kLanes]);
      Vec sum = Load(sum_ + v), mass = Zero();
      float* score = weights_ + v;
      for (const float* const end = value_scales + num_keys; value_scales != end; score += kPanelLanes) {
        const Vec weight = Exp2(Subtract(Load(score), max));
        const Vec scaled = Product(weight, Broadcast(*value_scales++));
        sum = Add(sum, weight);
        mass = Add(mass, scaled);
        Store(score, scaled);
      }
      value_scales -= num_keys;
      if (num_keys % 2 == 1) Store(score, Zero());
      Store(sum_ + v, sum);
      // A sum of products with values that are at most 2¹⁵ stays below 2³¹.
      const Vec unit = Product(Max(mass, Broadcast(kLeastMass)), Broadcast(1.0f / kWeightSum));
      const Vec inverse = Quotient(Broadcast(1.0f), unit);
      Store(units_ + v, unit);
      int16_t* pairs = pairs_ + 2 * v;
      for (const float* weights = weights_ + v; weights < score;
           weights += 2 * kPanelLanes, pairs += 2 * kPanelLanes)
        StoreInts(pairs,
                  RoundPairs(Product(inverse, Load(weights)), Product(inverse, Load(weights + kPanelLanes))));
    }
  }

  std::vector<int16_t> queries_;            // [dim / 2, lanes, 2]
  std::vector<int16_t> rounded_;            // [dim], of one lane
  int16_t pairs_[kKeyTile * kPanelLanes];   // [keys / 2, lanes, 2]
  int32_t sums_[kPanelRows * kPanelLanes];  // of a register tile
  float factors_[kPanelLanes];              // of sums, to scores in base 2
  float units_[kPanelLanes];                // of weights
};

}  // namespace
}  // namespace cacheclip::fp32
