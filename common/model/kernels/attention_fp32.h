// Causal attention by position list over an fp32 KV cache, for CPUs with AVX2 or AVX-512. Row r attends to
// slots 0 … limits[r]; query head h uses kv head h / (num_heads / num_kv_heads). No mask is ever built:
// positions are compared only in tiles that a row's own limit cuts. Head dimensions that are multiples of 16.
// Functions only; threads come from OpenMP.
#pragma once

#include <cstdint>

namespace cacheclip::fp32 {

struct AttentionArguments {
  const float* queries;    // [num_rows, num_heads, head_dim]
  const float* keys;       // [num_kv_heads, capacity, head_dim]
  const float* values;     // the same
  float* out;              // [num_rows, num_heads, head_dim]
  const int32_t* limits;   // [num_rows], ascending
  const float* slot_bias;  // [capacity], added to a slot's scaled scores
  int num_rows, num_heads, num_kv_heads, head_dim, capacity;
  float scale;
  int num_threads;
};
// The caller checks that the machine has the instruction set named; for Attention(), that kAvx2 is active.
void AttentionAvx2(const AttentionArguments& arguments);
void AttentionAvx512(const AttentionArguments& arguments);
void Attention(const AttentionArguments& arguments);  // by the widest vectors of ActiveIsa()

inline constexpr int kHeadDimMultiple = 16;

}  // namespace cacheclip::fp32
