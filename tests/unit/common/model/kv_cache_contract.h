// What every cache is asked to do, on the same random rows. Functions and values only.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
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

// True if AddUnrotated() adds to values and to keys before RoPE at `slots`, of which LoadUnrotated() tells.
inline bool AddsBeforeRope(KvCache& cache, const CacheShape& shape, const std::vector<int32_t>& slots,
                           at::ScalarType dtype, double bound) {
  const int64_t count = static_cast<int64_t>(slots.size());
  cache.Store(1, RandomRows(count, shape.num_kv_heads, shape.head_dim, dtype),
              RandomRows(count, shape.num_kv_heads, shape.head_dim, dtype), slots);
  const KvRows before = cache.Load(1, slots);
  const RotationTable forth = RotationAt(CacheConfig(shape), 1000, count), back{forth.cosine, -forth.sine};
  const at::Tensor unrotated = cache.LoadUnrotated(1, slots, back);
  const auto changes = [&] {
    return RandomRows(count, shape.num_kv_heads, shape.head_dim, dtype).to(unrotated.scalar_type());
  };
  const at::Tensor values = changes(), keys = changes();
  cache.AddUnrotated(1, slots, forth, values.flatten(1), keys.flatten(1));
  const KvRows after = cache.Load(1, slots);
  const auto of_heads = [&](int64_t half) {  // values, keys
    return unrotated.to(at::kFloat).view({count, 2, shape.num_kv_heads, shape.head_dim}).select(1, half);
  };
  return AreNear(of_heads(0), before.values, 0) && AreNear(of_heads(1), Rotate(before.keys, back), bound) &&
         AreNear(after.values, before.values + values, bound) &&
         AreNear(after.keys, before.keys + Rotate(keys.to(at::kFloat), forth), bound);
}

}  // namespace cacheclip
