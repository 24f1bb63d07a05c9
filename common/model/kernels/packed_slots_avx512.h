// Where a slot's numbers lie in the packed cache layout (attention_avx512.h), and 16 by 16 transposes.
// Included by the files of that layout alone (needs their compile flags).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "common/model/kernels/attention_avx512.h"

namespace cacheclip::avx512 {
namespace {

typedef uint32_t __attribute__((may_alias)) Pair;  // two bf16

inline Pair* KeySlot(const CacheSlice& cache, int kv_head, int slot) {
  Bf16* head = cache.keys + static_cast<size_t>(kv_head) * cache.capacity * cache.head_dim;
  return reinterpret_cast<Pair*>(head) + static_cast<size_t>(slot / 16) * 8 * cache.head_dim + slot % 16;
}

inline Bf16* ValueSlot(const CacheSlice& cache, int kv_head, int slot) {
  Bf16* head = cache.values + static_cast<size_t>(kv_head) * cache.capacity * cache.head_dim;
  return head + static_cast<size_t>(slot / 2) * 2 * cache.head_dim + slot % 2;
}

// rows[i], 16 numbers each, become columns.
inline void Transpose16(__m512i (&rows)[16]) {
  __m512i parts[16];
  for (int i = 0; i < 16; i += 2) {
    parts[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    parts[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(parts[i], parts[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(parts[i], parts[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(parts[i + 1], parts[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(parts[i + 1], parts[i + 3]);
  }
  // Quarter q of rows[4 g + i] now holds column 4 q + i of the old rows 4 g … 4 g + 3.
  for (int i = 0; i < 4; ++i) {
    parts[i] = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0x88);
    parts[4 + i] = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0xdd);
    parts[8 + i] = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0x88);
    parts[12 + i] = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_i32x4(parts[i], parts[8 + i], 0x88);
    rows[4 + i] = _mm512_shuffle_i32x4(parts[4 + i], parts[12 + i], 0x88);
    rows[8 + i] = _mm512_shuffle_i32x4(parts[i], parts[8 + i], 0xdd);
    rows[12 + i] = _mm512_shuffle_i32x4(parts[4 + i], parts[12 + i], 0xdd);
  }
}

inline void Transpose16(__m512 (&rows)[16]) {
  __m512i numbers[16];
  for (int i = 0; i < 16; ++i) numbers[i] = _mm512_castps_si512(rows[i]);
  Transpose16(numbers);
  for (int i = 0; i < 16; ++i) rows[i] = _mm512_castsi512_ps(numbers[i]);
}

}  // namespace
}  // namespace cacheclip::avx512
