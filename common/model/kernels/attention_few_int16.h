// A few query rows (decode) over a rounded cache: attention_few_fp32.h with products of integers. Included by
// attention_fp32_run.h alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/model/kernels/attention_few_fp32.h"
#include "common/model/kernels/packed_weights.h"
#include "common/model/kernels/rounding.h"

namespace cacheclip::fp32 {
namespace {

constexpr int kRoundedValueTile = 64;  // kValueTile; weights are rounded for so many keys at once

struct RoundedQueries {
  std::vector<int16_t> values;  // [lanes, dim]
  float scales[kFewLanes];
};

// Of the calling thread, until its next call.
inline const RoundedQueries& RoundQueries(const AttentionArguments& a, int kv_head) {
  static thread_local RoundedQueries rounded;
  const int lanes = a.num_rows * Group(a);
  rounded.values.resize(static_cast<size_t>(lanes) * a.head_dim);
  for (int lane = 0; lane < lanes; ++lane)
    rounded.scales[lane] =
        RoundRow(a.queries + LaneOffset(a, kv_head, lane), a.head_dim, MaxWeightNorm(a.head_dim),
                 &rounded.values[static_cast<size_t>(lane) * a.head_dim]);
  return rounded;
}

// Scores of keys begin … end - 1. Eight keys are read at a time, behind the last one too.
inline void ScoreKeys(const AttentionArguments& a, const RoundedCache& cache, int kv_head, int begin, int end,
                      size_t stride, float* out) {
  const int lanes = a.num_rows * Group(a), dim = a.head_dim;
  const RoundedQueries& queries = RoundQueries(a, kv_head);
  const float* const key_scales = cache.key_scales + static_cast<size_t>(kv_head) * a.capacity;
  const __m256 base = _mm256_set1_ps(kLog2E);
  for (int key = begin; key < end; key += 8) {
    const int16_t* const keys = cache.keys + SlotOffset(a, kv_head, key);
    Prefetch(keys + 8 * dim, 8 * dim);
    const __m256 scales = _mm256_mul_ps(_mm256_loadu_ps(key_scales + key), base);
    const __m256 bias = _mm256_mul_ps(_mm256_loadu_ps(a.slot_bias + key), base);
    for (int lane = 0; lane < lanes; ++lane) {
      const __m256i sums = ScoreEight(&queries.values[static_cast<size_t>(lane) * dim], keys, dim);
      const __m256 factor = _mm256_mul_ps(_mm256_set1_ps(queries.scales[lane] * a.scale), scales);
      _mm256_storeu_ps(out + static_cast<size_t>(lane) * stride + (key - begin),
                       _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), factor, bias));
    }
  }
}

// weights[i] · scales[i] become integers, of the unit that is returned. Behind the last weight there are
// zeros up to a multiple of kLanes, and scales as many.
inline float RoundWeights(float* weights, const float* scales, int count, int16_t* out) {
  Vec mass = Zero();
  for (int i = 0; i < count; i += kLanes) {
    const Vec scaled = Product(Load(weights + i), Load(scales + i));
    mass = Add(mass, scaled);
    Store(weights + i, scaled);
  }
  const float unit = std::max(SumOf(mass), kLeastMass) / kWeightSum;
  const Vec inverse = Broadcast(1 / unit);
  for (int i = 0; i < count; i += kLanes) StoreRounded(out + i, Product(inverse, Load(weights + i)));
  return unit;
}

// out += the values of keys begin … end - 1 times `weights`, which do not stay as they are.
inline void AddValues(const AttentionArguments& a, const RoundedCache& cache, int kv_head, int begin, int end,
                      size_t stride, float* weights, float* out) {
  const int lanes = a.num_rows * Group(a), dim = a.head_dim;
  const int16_t* const values = cache.values + SlotOffset(a, kv_head, begin);
  const float* const value_scales = cache.value_scales + static_cast<size_t>(kv_head) * a.capacity + begin;
  int16_t rounded[kFewLanes][kRoundedValueTile];
  float units[kFewLanes];
  for (int key = 0; key < end - begin; key += kRoundedValueTile) {
    const int16_t* const tile = values + static_cast<size_t>(key) * dim;
    Prefetch(tile + kRoundedValueTile * dim, kRoundedValueTile * dim);
    const int keys = std::min(kRoundedValueTile, end - begin - key);
    for (int lane = 0; lane < lanes; ++lane)
      units[lane] = RoundWeights(&weights[static_cast<size_t>(lane) * stride + key], value_scales + key, keys,
                                 rounded[lane]);
    for (int d = 0; d < dim; d += kColumns)
      for (int lane = 0; lane < lanes; lane += kRowsAtOnce)
        WithRows(std::min(kRowsAtOnce, lanes - lane), [&]<int kRows>() {
          constexpr int kVectors = kColumns / kLanes;
          Sums<kRows, kVectors, int16_t> sums = {};
          AddProducts<kRows, kVectors>(rounded[lane], kRoundedValueTile, 2, tile + 2 * d,
                                       static_cast<size_t>(2 * dim), (keys + 1) / 2, sums);
          for (int r = 0; r < kRows; ++r)
            for (int v = 0; v < kVectors; ++v) {
              float* const to = out + static_cast<size_t>(lane + r) * dim + d + v * kLanes;
              Store(to, MultiplyAdd(ToFloat(sums[r][v]), Broadcast(units[lane + r]), Load(to)));
            }
        });
  }
}

}  // namespace
}  // namespace cacheclip::fp32
