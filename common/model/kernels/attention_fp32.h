// Causal attention by position list in fp32, for CPUs with AVX2 or AVX-512, over a KV cache in fp32 or one
// that is rounded to int16. Row r attends to slots 0 … limits[r]; query head h uses kv head h / (num_heads /
// num_kv_heads). No mask is ever built: positions are compared only in tiles that a row's own limit cuts.
// Functions only; threads come from OpenMP.
#pragma once

#include <cstdint>

#include "common/model/kernels/local_rows.h"
#include "common/model/kernels/rounded_cache.h"

namespace cacheclip::fp32 {

struct AttentionArguments {
  const float* queries;    // [num_rows, num_heads, head_dim]
  float* out;              // [num_rows, num_heads, head_dim]
  const int32_t* limits;   // [num_rows], ascending
  const float* slot_bias;  // [capacity], added to a slot's scaled scores
  int num_rows, num_heads, num_kv_heads, head_dim, capacity;
  float scale;
  int num_threads;
  LocalRows local = {};
};

// One layer's cache. Head dimensions that are multiples of kHeadDimMultiple.
struct PlainCache {
  const float *keys, *values;  // [num_kv_heads, capacity, head_dim]
};
inline constexpr int kHeadDimMultiple = 16;

// The caller checks that the machine has the instruction set named; for Attention(), that kAvx2 is active.
// Over a rounded cache queries and weights are rounded to int16 too, and products of integers summed exactly,
// which is faster; head dimensions are multiples of kRoundedHeadDimMultiple then (rounded_cache.h).
void AttentionAvx2(const AttentionArguments& arguments, const PlainCache& cache);
void AttentionAvx2(const AttentionArguments& arguments, const RoundedCache& cache);
void AttentionAvx512(const AttentionArguments& arguments, const PlainCache& cache);
void AttentionAvx512(const AttentionArguments& arguments, const RoundedCache& cache);
// By the widest vectors of ActiveIsa().
void Attention(const AttentionArguments& arguments, const PlainCache& cache);
void Attention(const AttentionArguments& arguments, const RoundedCache& cache);

}  // namespace cacheclip::fp32
