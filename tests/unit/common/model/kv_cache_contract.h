// What every cache is asked to do, on the same random rows. Functions and values only.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "common/model/kv_cache.h"

namespace cacheclip {

struct CacheShape {
  int64_t num_heads, num_kv_heads, head_dim;
};

inline ModelConfig CacheConfig(const CacheShape& shape) {
  ModelConfig config;
  config.num_heads = shape.num_heads;
  config.num_kv_heads = shape.num_kv_heads;
  config.head_dim = shape.head_dim;
  return config;
}

inline at::Tensor RandomRows(int64_t count, int64_t heads, int64_t dim,
                             at::ScalarType dtype = at::kBFloat16) {
  return at::randn({count, heads, dim}).to(dtype);
}

inline RotationTable RotationAt(const ModelConfig& config, int64_t first_position, int64_t count) {
  const auto positions =
      at::arange(first_position, first_position + count, at::TensorOptions().dtype(at::kLong));
  return MakeRotationTable(InverseFrequencies(config), positions);
}

inline std::vector<int32_t> Neighbours(int32_t first, int32_t count) {
  std::vector<int32_t> slots;
  for (int32_t i = 0; i < count; ++i) slots.push_back(first + i);
  return slots;
}

// True if Place() leaves the bits that Rotate() and Store() leave.
inline bool PlaceEqualsRotateThenStore(KvCache& placed, KvCache& stored, const CacheShape& shape,
                                       int32_t first_slot, int32_t count, at::ScalarType dtype) {
  const at::Tensor keys = RandomRows(count, shape.num_kv_heads, shape.head_dim, dtype);
  const at::Tensor values = RandomRows(count, shape.num_kv_heads, shape.head_dim, dtype);
  const RotationTable rotation = RotationAt(CacheConfig(shape), 1000 + first_slot, count);
  placed.Place(0, keys, values, first_slot, rotation);
  stored.Store(0, Rotate(keys, rotation), values, Neighbours(first_slot, count));
  const int32_t end = placed.capacity();
  return placed.Keys(0, 0, end).equal(stored.Keys(0, 0, end)) &&
         placed.Values(0, 0, end).equal(stored.Values(0, 0, end));
}

inline Int8Rows RandomInt8Rows(int64_t count, const CacheShape& shape) {
  const auto elements = [&] {
    return at::randint(-127, 128, {count, shape.num_kv_heads, shape.head_dim}).to(at::kChar);
  };
  return {.keys = elements(),
          .key_scales = at::rand({shape.num_kv_heads, shape.head_dim}),
          .values = elements(),
          .value_scales = at::rand({count, shape.num_kv_heads})};
}

// Within `bound` of the expected vectors' norms; equal where it is 0.
inline bool AreNear(const at::Tensor& ours, const at::Tensor& expected, double bound) {
  return ((ours - expected).abs() <= expected.norm(2, /*dim=*/-1, /*keepdim=*/true) * bound)
      .all()
      .item<bool>();
}

// True if PlaceInt8() leaves what dequantising and rotating in fp32 and rounding once leave.
inline bool PlaceInt8EqualsDequantiseRotateRound(KvCache& cache, const CacheShape& shape, int32_t first_slot,
                                                 int32_t count, at::ScalarType dtype, double bound = 0) {
  const Int8Rows rows = RandomInt8Rows(count, shape);
  const RotationTable rotation = RotationAt(CacheConfig(shape), 1000 + first_slot, count);
  cache.PlaceInt8(1, rows, first_slot, rotation);
  const auto rounded = [&](const at::Tensor& x) { return x.to(dtype).to(at::kFloat).transpose(0, 1); };
  const at::Tensor keys = Rotate(rows.keys.to(at::kFloat) * rows.key_scales, rotation);
  const at::Tensor values = rows.values.to(at::kFloat) * rows.value_scales.unsqueeze(2);
  return AreNear(cache.Keys(1, first_slot, first_slot + count), rounded(keys), bound) &&
         AreNear(cache.Values(1, first_slot, first_slot + count), rounded(values), bound);
}

// True if rows at `slots` come back, head by head.
inline bool RowsReadBack(KvCache& cache, const CacheShape& shape, const std::vector<int32_t>& slots,
                         at::ScalarType dtype, double bound = 0) {
  const int64_t count = static_cast<int64_t>(slots.size());
  const at::Tensor keys = RandomRows(count, shape.num_kv_heads, shape.head_dim, dtype);
  const at::Tensor values = RandomRows(count, shape.num_kv_heads, shape.head_dim, dtype);
  cache.Store(1, keys, values, slots);
  const KvRows loaded = cache.Load(1, slots);
  if (!AreNear(loaded.keys, keys.to(at::kFloat), bound)) return false;
  if (!AreNear(loaded.values, values.to(at::kFloat), bound)) return false;
  for (int64_t i = 0; i < count; ++i) {
    const int32_t slot = slots[static_cast<size_t>(i)];
    if (!cache.Keys(1, slot, slot + 1).select(1, 0).equal(loaded.keys[i])) return false;
    if (!cache.Values(1, slot, slot + 1).select(1, 0).equal(loaded.values[i])) return false;
  }
  return true;
}

// Attention of random rows: the root mean square difference to the plain cache's, relative, is below `bound`.
template <typename Make>
void ExpectAttendsAsThePlainCache(const Make& make, int64_t head_dim, at::ScalarType dtype, double bound) {
  std::mt19937 random(5);
  const auto pick = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int round = 0; round < 50; ++round) {
    const int kv_heads = pick(1, 3), slots_used = pick(1, 350);
    const CacheShape shape{kv_heads * pick(1, 5), kv_heads, head_dim};
    const std::unique_ptr<KvCache> ours = make(shape, slots_used);
    const auto plain = MakePlainKvCache(CacheConfig(shape), 2, slots_used, dtype, at::kCPU);
    const at::Tensor keys = RandomRows(slots_used, kv_heads, head_dim, dtype),
                     values = RandomRows(slots_used, kv_heads, head_dim, dtype);
    std::vector<int32_t> slots = Neighbours(0, slots_used);
    for (KvCache* cache : {ours.get(), plain.get()}) cache->Store(1, keys, values, slots);
    std::shuffle(slots.begin(), slots.end(), random);
    slots.resize(static_cast<size_t>(pick(1, slots_used)));
    std::sort(slots.begin(), slots.end());
    const at::Tensor queries =
        RandomRows(static_cast<int64_t>(slots.size()), shape.num_heads, head_dim, dtype);
    const int begin = pick(0, slots_used), end = pick(begin, slots_used);
    for (KvCache* cache : {ours.get(), plain.get()}) {
      cache->SetAttentionWeights(begin, std::vector<float>(static_cast<size_t>(end - begin), 0.3f));
      const int middle = (begin + end) / 2;
      cache->SetAttentionWeights(middle, std::vector<float>(static_cast<size_t>(end - middle), 1.0f));
    }
    std::vector<int32_t> first_slots;
    for (const int32_t slot : slots) first_slots.push_back(slot / kLocalBlock * kLocalBlock);
    const uint8_t local_heads[] = {1, 0, 1};
    const bool few = static_cast<int64_t>(slots.size()) * shape.num_heads / kv_heads <= 16;
    const LocalRows local{few || round % 2 == 0 ? nullptr : local_heads, first_slots.data()};
    const at::Tensor expected = plain->Attend(1, queries, slots, local).to(at::kFloat);
    const at::Tensor difference = ours->Attend(1, queries, slots, local).to(at::kFloat) - expected;
    EXPECT_LT((difference.norm() / expected.norm()).item<double>(), bound) << "round " << round;
  }
}

}  // namespace cacheclip
