// Causal attention by position list over a packed KV cache: bf16 in, fp32 accumulate, bf16 out (AVX-512 with
// BF16). Row r attends to slots 0 … limits[r]; query head h uses kv head h / (num_heads / num_kv_heads). No
// mask is ever built: positions are compared only in tiles that a row's own limit cuts. Head dimensions 64
// and 128.
//
// Layouts of one layer (capacity a multiple of kSlotAlignment, 64-byte aligned, zeroed once):
//   keys    [num_kv_heads][capacity / 16][head_dim / 2][16][2]   16 slots side by side, pairs of components
//   values  [num_kv_heads][capacity / 2][head_dim][2]            two consecutive slots interleaved
// Functions only; threads come from OpenMP. The caller checks MachineHas(Isa::kAvx512Bf16).
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/model/kernels/local_rows.h"

namespace cacheclip::avx512 {

using Bf16 = uint16_t;
inline constexpr int kSlotAlignment = 64;

struct AttentionArguments {
  const Bf16* queries;     // [num_rows, num_heads, head_dim]
  const Bf16* keys;        // packed
  const Bf16* values;      // packed
  Bf16* out;               // [num_rows, num_heads, head_dim]
  const int32_t* limits;   // [num_rows], ascending
  const float* slot_bias;  // [capacity], added to a slot's query-key products before `scale`
  int num_rows, num_heads, num_kv_heads, head_dim, capacity;
  float scale;
  int num_threads;
  LocalRows local = {};
  // Queries and keys are multiplied in int8, with a scale for each: half of their multiplications. Passes of
  // at most 16 rows times heads in a group ignore it.
  bool int8_scores = false;
};
void Attention(const AttentionArguments& arguments);

struct CacheSlice {  // one layer's packed arrays
  Bf16* keys;
  Bf16* values;
  int num_kv_heads, head_dim, capacity;
};

// out[h][r][s] = scale · the product of row r's query of head h with the key of slot s.
struct LogitsArguments {
  const Bf16* queries;  // [num_rows, num_heads, head_dim]
  CacheSlice cache;
  float* out;  // [num_heads, num_rows, num_slots]
  int num_rows, num_heads, num_slots;
  float scale;
  int num_threads;
};
void Logits(const LogitsArguments& arguments);

// Writes rotated keys and values [num_tokens, num_kv_heads, head_dim] at slots[i].
void StoreRows(const CacheSlice& cache, const Bf16* keys, const Bf16* values, const int32_t* slots,
               int num_tokens);

// Rotates unrotated keys and writes keys and values at first_slot …: assembly in one pass.
// cosine, sine: [num_tokens, head_dim / 2]. Rounds as Rotate() in rope.h does: fp32 products, one rounding to
// bf16.
void RotateAndStore(const CacheSlice& cache, const Bf16* keys, const Bf16* values, const float* cosine,
                    const float* sine, int first_slot, int num_tokens, int num_threads);

// The same from int8 rows: dequantised to fp32 (element times scale), then as above with one rounding to
// bf16.
struct Int8Rows {
  const int8_t* keys;         // [num_tokens, num_kv_heads, head_dim]
  const float* key_scales;    // [num_kv_heads, head_dim]
  const int8_t* values;       // [num_tokens, num_kv_heads, head_dim]
  const float* value_scales;  // [num_tokens, num_kv_heads]
};
void DequantiseRotateAndStore(const CacheSlice& cache, const Int8Rows& rows, const float* cosine,
                              const float* sine, int first_slot, int num_tokens, int num_threads);

// Reads back tokens as they were before RoPE, at ascending slots: rows of 2 · num_kv_heads · head_dim bf16,
// the values, then the keys, rotated by cosine and sine [num_tokens, head_dim / 2], those of the negative
// angles.
void LoadUnrotated(const CacheSlice& cache, const int32_t* slots, int num_tokens, const float* cosine,
                   const float* sine, Bf16* rows);

// Adds to values and to keys before RoPE [num_tokens, num_kv_heads, head_dim], with one rounding. Writes
// whole runs of 16 slots: what other threads write meanwhile must lie in others.
void AddUnrotated(const CacheSlice& cache, const int32_t* slots, int num_tokens, const float* cosine,
                  const float* sine, const Bf16* values, const Bf16* keys);

// Reads back one kv head's slots [begin, end) as fp32 [end - begin, head_dim].
void LoadKeys(const CacheSlice& cache, int kv_head, int begin, int end, float* out);
void LoadValues(const CacheSlice& cache, int kv_head, int begin, int end, float* out);

}  // namespace cacheclip::avx512
