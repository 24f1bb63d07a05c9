// Many query rows (prefill): queries lie in SIMD lanes, the (row, head in group) pairs of one kv head cut in
// panels of 24 or 48, so that keys and values are used as they lie, an element broadcast to a panel at a
// time:
//   S^T[key][lane] = Σ_d K[key][d] · Q^T[d][lane]        O^T[d][lane] += Σ_key V[key][d] · P^T[key][lane]
// Both products are the same register tile, and softmax, which runs online, needs no horizontal operation.
// Included by attention_fp32_run.h alone.
#pragma once

#include <algorithm>
#include <vector>

#include "common/model/kernels/attention_primitives_fp32.h"

namespace cacheclip::fp32 {
namespace {

// Of so many keys a panel's weights are in memory at once, in the first-level cache.
constexpr int kKeyTile = 64;

// kPanelLanes lanes of one kv head. One object per thread.
class Panel {
 public:
  void Begin(const AttentionArguments& a, int kv_head, int first_lane, int num_lanes) {
    dim_ = a.head_dim, first_lane_ = first_lane, num_lanes_ = num_lanes, kv_head_ = kv_head;
    queries_.resize(static_cast<size_t>(dim_) * kPanelLanes);
    out_.assign(queries_.size(), 0.0f);
    const float factor = a.scale * kLog2E;  // softmax in base 2
    for (int i = 0; i < kPanelLanes; ++i) {
      const int lane = first_lane + std::min(i, num_lanes - 1);  // idle lanes repeat the last one
      const float* query = a.queries + LaneOffset(a, kv_head, lane);
      for (int d = 0; d < dim_; ++d) queries_[d * kPanelLanes + i] = query[d] * factor;
      limits_[i] = a.limits[lane / Group(a)];
      max_[i] = kLowest, sum_[i] = 0;
    }
  }

  int end() const { return limits_[kPanelLanes - 1] + 1; }

  // Keys and values of slots key … key + num_keys - 1.
  void AddTile(const AttentionArguments& a, int key, int num_keys) {
    const float* keys = a.keys + SlotOffset(a, kv_head_, key);
    const float* values = a.values + SlotOffset(a, kv_head_, key);
    Vec tops[kVectors];
    for (int v = 0; v < kVectors; ++v) tops[v] = Load(max_ + kLanes * v);
    int k = 0;
    for (; k + kPanelRows <= num_keys; k += kPanelRows)
      Score<kPanelRows>(keys + static_cast<size_t>(k) * dim_, a.slot_bias + key + k, k, tops);
    for (; k < num_keys; ++k) Score<1>(keys + static_cast<size_t>(k) * dim_, a.slot_bias + key + k, k, tops);
    if (key + num_keys - 1 > limits_[0]) Hide(key, num_keys, tops);
    ToWeights(num_keys, tops);
    for (int d = 0; d < dim_; d += kPanelRows) {
      float* const out = &out_[d * kPanelLanes];
      Multiply<kPanelRows, kVectors>(values + d, 1, dim_, weights_, kPanelLanes, num_keys, out, kPanelLanes);
    }
  }

  void Finish(const AttentionArguments& a) {
    for (int v = 0; v < kPanelLanes; v += kLanes) {
      const Vec inverse = Quotient(Broadcast(1.0f), Load(sum_ + v));
      for (int d = 0; d < dim_; ++d) {
        float* out = &out_[d * kPanelLanes + v];
        Store(out, Product(inverse, Load(out)));
      }
    }
    for (int i = 0; i < num_lanes_; ++i) {
      float* out = a.out + LaneOffset(a, kv_head_, first_lane_ + i);
      for (int d = 0; d < dim_; ++d) out[d] = out_[d * kPanelLanes + i];
    }
  }

 private:
  // `tops` become each lane's highest score, if it is above what they were.
  template <int kRows>
  void Score(const float* keys, const float* bias, int at, Vec (&tops)[kVectors]) {
    Sums<kRows, kVectors> sums;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] = Broadcast(bias[r] * kLog2E);
    AddProducts<kRows, kVectors>(keys, dim_, 1, queries_.data(), kPanelLanes, dim_, sums);
    StoreSums<kRows, kVectors>(sums, weights_ + at * kPanelLanes, kPanelLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) tops[v] = Max(tops[v], sums[r][v]);
  }

  // What a lane does not see scores kLowest, and does not count for its highest score.
  void Hide(int key, int num_keys, Vec (&tops)[kVectors]) {
    for (int i = 0; i < kVectors; ++i) {
      const int v = kLanes * i;
      tops[i] = Load(max_ + v);
      for (int k = 0; k < num_keys; ++k) {
        float* const score = weights_ + k * kPanelLanes + v;
        const Vec seen = WhereWithin(limits_ + v, key + k, Load(score), Broadcast(kLowest));
        tops[i] = Max(tops[i], seen);
        Store(score, seen);
      }
    }
  }

  // Scores become weights against each lane's running maximum, which becomes `tops`.
  void ToWeights(int num_keys, const Vec (&tops)[kVectors]) {
    for (int v = 0; v < kPanelLanes; v += kLanes) {
      const Vec old_max = Load(max_ + v), top = tops[v / kLanes];
      Vec sum = Load(sum_ + v);
      if (AnyAbove(top, old_max)) {
        const Vec fade = Exp2(Subtract(old_max, top));
        for (int d = 0; d < dim_; ++d) {
          float* out = &out_[d * kPanelLanes + v];
          Store(out, Product(fade, Load(out)));
        }
        sum = Product(fade, sum);
        Store(max_ + v, top);
      }
      for (int k = 0; k < num_keys; ++k) {
        float* score = weights_ + k * kPanelLanes + v;
        const Vec weight = Exp2(Subtract(Load(score), top));
        sum = Add(sum, weight);
        Store(score, weight);
      }
      Store(sum_ + v, sum);
    }
  }

  int dim_ = 0, kv_head_ = 0, first_lane_ = 0, num_lanes_ = 0;
  std::vector<float> queries_, out_;           // [dim, lanes]
  float weights_[kKeyTile * kPanelLanes];      // [keys, lanes]
  float max_[kPanelLanes], sum_[kPanelLanes];  // of scores in base 2 and of weights
  int32_t limits_[kPanelLanes];
};

}  // namespace
}  // namespace cacheclip::fp32
