// A few query rows (decode): keys are read as they lie, in parts whose results are merged.
// Included by attention_fp32_run.h alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "common/model/kernels/attention_primitives_fp32.h"

namespace cacheclip::fp32 {
namespace {

constexpr int kFewLanes = 12;   // more go in panels
constexpr int kValueTile = 16;  // keys whose values stay in the first-level cache between their columns
constexpr int kColumns = 16;    // of values at once

inline float Highest(const float* scores, int count) {
  Vec highest = Broadcast(kLowest);
  for (int i = 0; i < count; i += kLanes) highest = Max(highest, Load(scores + i));
  return MaxOf(highest);
}

// Scores in base 2 become weights against `top`, in place; returns their sum. Where nothing is seen, so that
// `top` is kLowest too, nothing is added.
inline float ToWeightsAgainst(float top, float* scores, int count) {
  const Vec base = Broadcast(std::max(top, kLowest / 2));
  Vec sum = Zero();
  for (int i = 0; i < count; i += kLanes) {
    const Vec score = Subtract(Load(scores + i), base);
    const Vec weight = WhereNotBelow(score, Broadcast(kLeastPower), Exp2(score));
    sum = Add(sum, weight);
    Store(scores + i, weight);
  }
  return SumOf(sum);
}

// What a part of the keys leaves of a kv head's lanes.
struct Part {
  float max[kFewLanes], sum[kFewLanes];  // of scores in base 2, of weights against that maximum
  float* out;                            // [lanes, dim], weighted by the same
};

// scores[lane · stride + i] of every lane and key begin + i become weights, in place; keys that a lane does
// not see weigh nothing. `scores` has columns up to `stride`.
inline void WeighScores(const AttentionArguments& a, int begin, int end, size_t stride, float* weights,
                        Part& part) {
  const int group = Group(a);
  for (int lane = 0; lane < a.num_rows * group; ++lane) {
    float* const scores = weights + static_cast<size_t>(lane) * stride;
    const int visible = std::clamp(a.limits[lane / group] + 1 - begin, 0, end - begin);
    std::fill(scores + visible, scores + stride, kLowest);
    part.max[lane] = Highest(scores, static_cast<int>(stride));
    part.sum[lane] = ToWeightsAgainst(part.max[lane], scores, static_cast<int>(stride));
  }
}

// scores[0..8) of eight neighbouring keys, `dim` elements apart.
template <typename Element>
inline auto ScoreEight(const Element* query, const Element* keys, int dim) {
  using Lanes = Arithmetic<Element>;
  typename Lanes::Sum sums[8] = {};
  for (int d = 0; d < dim; d += kLanes * Lanes::kStep) {
    const auto q = Lanes::Load(query + d);
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i)
      sums[i] = Lanes::MultiplyAdd(q, Lanes::Load(keys + static_cast<size_t>(i) * dim + d), sums[i]);
  }
  return SumsOf(sums);
}

inline float ScoreOne(const float* query, const float* key, int dim) {
  Vec sum = Zero();
  for (int d = 0; d < dim; d += kLanes) sum = MultiplyAdd(Load(query + d), Load(key + d), sum);
  return SumOf(sum);
}

// Scores of keys begin … end - 1: out[lane · stride + i] that of key begin + i.
inline void ScoreKeys(const AttentionArguments& a, const PlainCache& cache, int kv_head, int begin, int end,
                      size_t stride, float* out) {
  const int lanes = a.num_rows * Group(a), dim = a.head_dim;
  const __m256 scale = _mm256_set1_ps(a.scale * kLog2E), base = _mm256_set1_ps(kLog2E);
  for (int key = begin; key < end; key += 8) {
    const float* const keys = cache.keys + SlotOffset(a, kv_head, key);
    Prefetch(keys + 8 * dim, 8 * dim);
    for (int lane = 0; lane < lanes; ++lane) {
      const float* const query = a.queries + LaneOffset(a, kv_head, lane);
      float* const scores = out + static_cast<size_t>(lane) * stride + (key - begin);
      if (key + 8 <= end) {
        _mm256_storeu_ps(scores, _mm256_fmadd_ps(_mm256_loadu_ps(a.slot_bias + key), base,
                                                 _mm256_mul_ps(scale, ScoreEight(query, keys, dim))));
      } else {
        for (int i = 0; i < end - key; ++i)
          scores[i] =
              (ScoreOne(query, keys + static_cast<size_t>(i) * dim, dim) * a.scale + a.slot_bias[key + i]) *
              kLog2E;
      }
    }
  }
}

// out += the values of keys begin … end - 1 times `weights`.
inline void AddValues(const AttentionArguments& a, const PlainCache& cache, int kv_head, int begin, int end,
                      size_t stride, const float* weights, float* out) {
  const int lanes = a.num_rows * Group(a), dim = a.head_dim;
  const float* const values = cache.values + SlotOffset(a, kv_head, begin);
  for (int key = 0; key < end - begin; key += kValueTile) {
    const float* const tile = values + static_cast<size_t>(key) * dim;
    Prefetch(tile + kValueTile * dim, kValueTile * dim);
    const int keys = std::min(kValueTile, end - begin - key);
    for (int d = 0; d < dim; d += kColumns)
      for (int lane = 0; lane < lanes; lane += kRowsAtOnce)
        WithRows(std::min(kRowsAtOnce, lanes - lane), [&]<int kRows>() {
          Multiply<kRows, kColumns / kLanes>(&weights[static_cast<size_t>(lane) * stride + key], stride, 1,
                                             tile + d, static_cast<size_t>(dim), keys,
                                             out + static_cast<size_t>(lane) * dim + d,
                                             static_cast<size_t>(dim));
        });
  }
}

inline void MergeParts(const AttentionArguments& a, int kv_head, const Part* parts, int num_parts) {
  for (int lane = 0; lane < a.num_rows * Group(a); ++lane) {
    float top = kLowest, sum = 0;
    for (int p = 0; p < num_parts; ++p) top = std::max(top, parts[p].max[lane]);
    float* out = a.out + LaneOffset(a, kv_head, lane);
    std::fill_n(out, a.head_dim, 0.0f);
    for (int p = 0; p < num_parts; ++p) {
      const float factor = __builtin_exp2f(parts[p].max[lane] - top);
      sum += factor * parts[p].sum[lane];
      for (int d = 0; d < a.head_dim; ++d)
        out[d] += factor * parts[p].out[static_cast<size_t>(lane) * a.head_dim + d];
    }
    for (int d = 0; d < a.head_dim; ++d) out[d] /= sum;
  }
}

}  // namespace
}  // namespace cacheclip::fp32
