// Many query rows (prefill): queries lie in SIMD lanes, the (row, head in group) pairs of one kv head cut in
// panels of 24 or 48, so that keys and values are used as they lie, an element broadcast to a panel at a
// time:
//   S^T[key][lane] = Σ_d K[key][d] · Q^T[d][lane]        O^T[d][lane] += Σ_key V[key][d] · P^T[key][lane]
// Both products are the same register tile, and softmax, which runs online, needs no horizontal operation.
// What a panel is over any cache; attention_block_fp32.h and attention_block_int16.h multiply. Included by
// those two alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/model/kernels/attention_primitives_fp32.h"
#include "common/model/kernels/lane_limits.h"

namespace cacheclip::fp32 {
namespace {

// Of so many keys a panel's weights are in memory at once, in the first-level cache; it is larger where there
// is AVX-512.
constexpr int kKeyTile = kLanes == 8 ? 64 : 128;
static_assert(kLocalBlock % kKeyTile == 0);

constexpr int kLanesAhead = 4;  // whose queries are on their way while one is laid out

// Weights may become so large, in base 2: raising a maximum takes a pass over what a panel has summed.
constexpr float kHeadroom = 16;

// What a panel is whatever its cache: kPanelLanes lanes of one kv head, their limits and running softmax.
class PanelLanes {
 public:
  int end() const { return limits_.end(); }

  // Whether some lane attends to keys of the tile that begins at `key`.
  bool Sees(int key) const { return key < end() && limits_.SeenFrom(key) == key; }

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

 protected:
  // take(i, query) for each lane.
  template <typename Take>
  void BeginLanes(const AttentionArguments& a, int kv_head, int first_lane, int num_lanes, const Take& take) {
    dim_ = a.head_dim, first_lane_ = first_lane, num_lanes_ = num_lanes, kv_head_ = kv_head;
    // Idle lanes repeat the last one.
    const auto lane_of = [&](int i) { return first_lane + std::min(i, num_lanes - 1); };
    limits_.Begin(a.limits, a.local, kv_head, [&](int i) { return lane_of(i) / Group(a); });
    out_.assign(static_cast<size_t>(dim_) * kPanelLanes, 0.0f);
    for (int i = 0; i < kPanelLanes; ++i) {
      Prefetch(a.queries + LaneOffset(a, kv_head, lane_of(i + kLanesAhead)), dim_);
      take(i, a.queries + LaneOffset(a, kv_head, lane_of(i)));
      max_[i] = kLowest, sum_[i] = 0;
    }
  }

  // score.operator()<n>(k) puts the scores of keys k … k + n - 1 into weights_ and raises `tops` with them,
  // which begin as the lanes' running maxima; then what a lane does not see is hidden.
  template <typename ScoreKeys>
  void Score(int key, int num_keys, Vec (&tops)[kVectors], const ScoreKeys& score) {
    for (int v = 0; v < kVectors; ++v) tops[v] = Load(max_ + kLanes * v);
    int k = 0;
    for (; k + kPanelRows <= num_keys; k += kPanelRows) score.template operator()<kPanelRows>(k);
    for (; k < num_keys; ++k) score.template operator()<1>(k);
    if (limits_.Hides(key, num_keys)) Hide(key, num_keys, tops);
  }

  // The maximum that weights of the lanes of vector v / kLanes are taken against, given their highest score:
  // the one so far, unless it is so far below that weights would grow out of bounds.
  Vec Maximum(int v, Vec top) {
    const Vec old_max = Load(max_ + v);
    if (!AnyAbove(top, Add(old_max, Broadcast(kHeadroom)))) return old_max;
    const Vec max = Max(top, old_max), fade = Exp2(Subtract(old_max, max));
    float* out = &out_[v];
    for (float* const end = out + dim_ * kPanelLanes; out != end; out += kPanelLanes)
      Store(out, Product(fade, Load(out)));
    Store(sum_ + v, Product(fade, Load(sum_ + v)));
    Store(max_ + v, max);
    return max;
  }

  int dim_ = 0, kv_head_ = 0, first_lane_ = 0, num_lanes_ = 0;
  std::vector<float> out_;                     // [dim, lanes]
  float weights_[kKeyTile * kPanelLanes];      // [keys, lanes]
  float max_[kPanelLanes], sum_[kPanelLanes];  // of scores in base 2, within kHeadroom, and of weights

 private:
  // What a lane does not see scores kLowest, and does not count for its highest score. The first block, which
  // every lane sees, has given it a maximum above that before it leaves anything out.
  void Hide(int key, int num_keys, Vec (&tops)[kVectors]) {
    const int32_t* const last_keys = limits_.LastKeys(key);
    for (int i = 0; i < kVectors; ++i) {
      const int v = kLanes * i;
      tops[i] = Load(max_ + v);
      for (int k = 0; k < num_keys; ++k) {
        float* const score = weights_ + k * kPanelLanes + v;
        const Vec seen = WhereWithin(last_keys + v, key + k, Load(score), Broadcast(kLowest));
        tops[i] = Max(tops[i], seen);
        Store(score, seen);
      }
    }
  }

  LaneLimits<kPanelLanes> limits_;
};

template <typename Cache>
class Panel;

}  // namespace
}  // namespace cacheclip::fp32
