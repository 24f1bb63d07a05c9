// Scores of attention in bytes: keys and queries rounded to int8 with a scale for each slot and for each
// row's head, which takes half of the multiplications of bf16 (SageAttention: Zhang et al. 2024,
// arXiv:2410.02367; docs/adr/0026). Softmax and values stay as they are. Included by kernel files alone
// (needs their compile flags).
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "common/model/kernels/attention_primitives_avx512.h"
#include "common/model/kernels/byte_keys_avx512.h"
#include "common/model/kernels/vector_avx512.h"

namespace cacheclip::avx512 {
namespace {

constexpr float kLeastQuery = 1e-20f;  // a query is taken to have an element as large: 1 / it is a number

// _mm512_dpbusd_epi32(sum, unsigned_bytes, bytes). GCC copies the sums of the intrinsic at every step, and
// runs out of registers.
inline __attribute__((always_inline)) void AddByteProducts(__m512i& sum, __m512i unsigned_bytes,
                                                           __m512i bytes) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(unsigned_bytes), "v"(bytes));
}

// products[r][16·v ..+16] = sum_k keys[r + 16·k] (four bytes, broadcast) . queries[k][16·v ..+16] (fours). A
// function of its own: GCC finds registers for all sums where nothing else is done with them.
template <int NV>
[[gnu::noinline]] void MultiplyBytes(const uint32_t* keys, const uint32_t* queries, int steps,
                                     int32_t* products) {
  __m512i sums[kTileRows][NV];
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      sums[r][v] = _mm512_setzero_si512();
      asm("" : "+v"(sums[r][v]));
    }
  for (int k = 0; k < steps; ++k, keys += 16, queries += 16 * NV) {
    __m512i lanes[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) lanes[v] = _mm512_load_si512(queries + 16 * v);
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
      const __m512i key = _mm512_set1_epi32(static_cast<int>(keys[r]));
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) AddByteProducts(sums[r][v], lanes[v], key);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) _mm512_store_si512(products + 16 * (r * NV + v), sums[r][v]);
}

// What PairScores is, of bytes.
template <int D, int NV>
struct ByteScores {
  static constexpr int L = 16 * NV;
  static constexpr bool kRoundsKeys = true;
  alignas(64) uint32_t q[D / 4][L];          // Q^T, fours of d
  alignas(64) float scale[L], per_scale[L];  // and what a slot's bias is multiplied by, to be of that scale
  const uint32_t* keys;
  const float *key_scales, *key_offsets, *slot_bias;

  void begin(const AttentionArguments& a, const ByteKeys& byte_keys, int kv_head) {
    keys = byte_keys.fours(kv_head), key_scales = byte_keys.scales(kv_head);
    key_offsets = byte_keys.offsets(kv_head), slot_bias = a.slot_bias;
  }

  void take(int i, const Bf16* query, float c2) {
    __m512 x[D / 16], largest = _mm512_setzero_ps();
    for (int j = 0; j < D / 16; ++j) {
      x[j] = Widen(query + 16 * j);
      largest = _mm512_max_ps(largest, _mm512_abs_ps(x[j]));
    }
    const float most = std::max(_mm512_reduce_max_ps(largest), kLeastQuery);
    const __m512 inverse = _mm512_set1_ps(kLargestByte / most);
    alignas(64) uint32_t fours[D / 4];
    for (int j = 0; j < D / 16; ++j) {
      const __m512i rounded =
          _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(x[j], inverse)), _mm512_set1_epi32(kByteOffset));
      _mm_store_si128(reinterpret_cast<__m128i*>(fours + 4 * j), _mm512_cvtepi32_epi8(rounded));
    }
    for (int k = 0; k < D / 4; ++k) q[k][i] = fours[k];
    scale[i] = c2 * (most / kLargestByte), per_scale[i] = kLargestByte / most;
  }

  void products(int k, __m512 (&c)[kTileRows][NV]) const {
    alignas(64) int32_t sums[kTileRows][L];
    MultiplyBytes<NV>(keys + static_cast<size_t>(k / 16) * 4 * D + k % 16, q[0], D / 4, sums[0]);
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v)
        c[r][v] = _mm512_fmadd_ps(
            _mm512_cvtepi32_ps(_mm512_load_si512(sums[r] + 16 * v)), _mm512_set1_ps(key_scales[k + r]),
            _mm512_fmadd_ps(_mm512_set1_ps(slot_bias[k + r]), _mm512_load_ps(per_scale + 16 * v),
                            _mm512_set1_ps(key_offsets[k + r])));
  }
};

}  // namespace
}  // namespace cacheclip::avx512
