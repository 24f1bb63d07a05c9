// Many query rows (prefill): queries lie in SIMD lanes, the (row, head in group) pairs of one kv head cut in
// panels of 24, so that keys and values are used as they lie, an element broadcast to a panel at a time:
//   S^T[key][lane] = Σ_d K[key][d] · Q^T[d][lane]        O^T[d][lane] += Σ_key V[key][d] · P^T[key][lane]
// Both products are the same register tile, and softmax, which runs online, needs no horizontal operation.
// Included by attention_avx2.cc alone.
#pragma once

#include <algorithm>
#include <vector>

#include "common/model/kernels/attention_primitives_avx2.h"

namespace cacheclip::avx2 {
namespace {

// Of so many keys a panel's weights are in memory at once, in the first-level cache.
constexpr int kKeyTile = 64;

// 24 lanes of one kv head. One object per thread.
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
    int k = 0;
    for (; k + kPanelRows <= num_keys; k += kPanelRows)
      Score<kPanelRows>(keys + static_cast<size_t>(k) * dim_, a.slot_bias + key + k, k);
    for (; k < num_keys; ++k) Score<1>(keys + static_cast<size_t>(k) * dim_, a.slot_bias + key + k, k);
    if (key + num_keys - 1 > limits_[0]) Hide(key, num_keys);
    ToWeights(num_keys);
    for (int d = 0; d < dim_; d += kPanelRows) {
      Sums sums;
      LoadSums<kPanelRows>(&out_[d * kPanelLanes], sums);
      AddProducts<kPanelRows>(values + d, 1, dim_, weights_, num_keys, sums);
      StoreSums<kPanelRows>(sums, &out_[d * kPanelLanes]);
    }
  }

  void Finish(const AttentionArguments& a) {
    for (int v = 0; v < kPanelLanes; v += 8) {
      const __m256 inverse = _mm256_div_ps(_mm256_set1_ps(1.0f), _mm256_loadu_ps(sum_ + v));
      for (int d = 0; d < dim_; ++d) {
        float* out = &out_[d * kPanelLanes + v];
        _mm256_storeu_ps(out, _mm256_mul_ps(inverse, _mm256_loadu_ps(out)));
      }
    }
    for (int i = 0; i < num_lanes_; ++i) {
      float* out = a.out + LaneOffset(a, kv_head_, first_lane_ + i);
      for (int d = 0; d < dim_; ++d) out[d] = out_[d * kPanelLanes + i];
    }
  }

 private:
  template <int kRows>
  void Score(const float* keys, const float* bias, int at) {
    Sums sums;
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm256_set1_ps(bias[r] * kLog2E);
    AddProducts<kRows>(keys, dim_, 1, queries_.data(), dim_, sums);
    StoreSums<kRows>(sums, weights_ + at * kPanelLanes);
  }

  // What a lane does not see scores kLowest.
  void Hide(int key, int num_keys) {
    for (int v = 0; v < kPanelLanes; v += 8) {
      const __m256i limits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(limits_ + v));
      for (int k = 0; k < num_keys; ++k) {
        float* score = weights_ + k * kPanelLanes + v;
        const __m256i hidden = _mm256_cmpgt_epi32(_mm256_set1_epi32(key + k), limits);
        _mm256_storeu_ps(score, _mm256_blendv_ps(_mm256_loadu_ps(score), _mm256_set1_ps(kLowest),
                                                 _mm256_castsi256_ps(hidden)));
      }
    }
  }

  // Scores become weights against each lane's running maximum.
  void ToWeights(int num_keys) {
    for (int v = 0; v < kPanelLanes; v += 8) {
      const __m256 old_max = _mm256_loadu_ps(max_ + v);
      __m256 top = old_max;
      for (int k = 0; k < num_keys; ++k)
        top = _mm256_max_ps(top, _mm256_loadu_ps(weights_ + k * kPanelLanes + v));
      __m256 sum = _mm256_loadu_ps(sum_ + v);
      if (_mm256_movemask_ps(_mm256_cmp_ps(top, old_max, _CMP_GT_OQ)) != 0) {
        const __m256 fade = Exp2(_mm256_sub_ps(old_max, top));
        for (int d = 0; d < dim_; ++d) {
          float* out = &out_[d * kPanelLanes + v];
          _mm256_storeu_ps(out, _mm256_mul_ps(fade, _mm256_loadu_ps(out)));
        }
        sum = _mm256_mul_ps(fade, sum);
        _mm256_storeu_ps(max_ + v, top);
      }
      for (int k = 0; k < num_keys; ++k) {
        float* score = weights_ + k * kPanelLanes + v;
        const __m256 weight = Exp2(_mm256_sub_ps(_mm256_loadu_ps(score), top));
        sum = _mm256_add_ps(sum, weight);
        _mm256_storeu_ps(score, weight);
      }
      _mm256_storeu_ps(sum_ + v, sum);
    }
  }

  int dim_ = 0, kv_head_ = 0, first_lane_ = 0, num_lanes_ = 0;
  std::vector<float> queries_, out_;           // [dim, lanes]
  float weights_[kKeyTile * kPanelLanes];      // [keys, lanes]
  float max_[kPanelLanes], sum_[kPanelLanes];  // of scores in base 2 and of weights
  int32_t limits_[kPanelLanes];
};

}  // namespace
}  // namespace cacheclip::avx2
