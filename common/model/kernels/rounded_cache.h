// A layer's KV cache rounded to int16, each key and each value of a head with a scale of its own: what
// attention in integers reads (attention_fp32.h). Functions only; threads come from OpenMP.
#pragma once

#include <cstdint>

namespace cacheclip::fp32 {

struct RoundedCache {
  int num_kv_heads, head_dim, capacity;  // capacity a multiple of kRoundedSlotAlignment
  int16_t* keys;                         // [num_kv_heads, capacity, head_dim]
  float* key_scales;                     // [num_kv_heads, capacity]
  // [num_kv_heads, capacity / 2, head_dim, 2]: elements of slots 2i and 2i + 1 are neighbours, as the
  // products with pairs of weights need them.
  int16_t* values;
  float* value_scales;  // [num_kv_heads, capacity]; of slots that nobody wrote: 0
};
inline constexpr int kRoundedSlotAlignment = 16;
inline constexpr int kRoundedHeadDimMultiple = 32, kMaxRoundedHeadDim = 256;

// Rounds `num_rows` keys and values, [num_rows, num_kv_heads, head_dim] each, rows `stride` elements apart,
// into slots `slots`. Keys, and the queries they are multiplied by, get the norm of int16 weights,
// MaxWeightNorm() of packed_weights.h: no sum of their products exceeds 32 bits.
void StoreRounded(const RoundedCache& cache, const float* keys, const float* values, int64_t stride,
                  const int32_t* slots, int64_t num_rows, int num_threads);

// The other way, what attention sees of them.
void LoadRounded(const RoundedCache& cache, const int32_t* slots, int64_t num_rows, float* keys,
                 float* values, int64_t stride, int num_threads);

}  // namespace cacheclip::fp32
