// What the two attention blocks share: the register-tile product, the exponential and bf16 pairs. Included by
// kernel files alone (needs their compile flags). Functions and constants only.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/lane_limits.h"

namespace cacheclip::avx512 {
namespace {

constexpr int kKeyTile = 128;  // keys per tile
static_assert(kLocalBlock % kKeyTile == 0);
constexpr int kTileRows = 8;             // accumulator rows (keys in QK^T, components of d in PV)
constexpr float kLog2OfE = 1.44269504f;  // softmax in base 2
constexpr float kMaxTileSum = 0x1p40f;   // tile sums above this make the running maximum move

typedef uint32_t __attribute__((may_alias)) pair_t;  // two bf16

// Elements from the start of queries or out to a lane's head: lane = row · group + head in group.
inline size_t lane_offset(const AttentionArguments& a, int kv_head, int lane) {
  const int g = a.num_heads / a.num_kv_heads;
  return (static_cast<size_t>(lane / g) * a.num_heads + kv_head * g + lane % g) * a.head_dim;
}

// 2^t, relative error 3e-6; vscalef takes floor(t) itself and underflows / overflows cleanly.
inline __m512 exp2_ps(__m512 t) {
  const __m512 r = _mm512_reduce_ps(t, 1);  // t - floor(t)
  __m512 p = _mm512_set1_ps(0.0135341672f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.0520114619f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.241442756f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.693003835f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, t);
}

// Lane i: lo[i] in the low half, hi[i] in the high half, as bf16.
inline __m512i pack_pairs(__m512 lo, __m512 hi) {
  const __m512i zip = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                                       22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(zip, (__m512i)_mm512_cvtne2ps_pbh(hi, lo));
}

// c[r][v] += sum_k a[r*AR + k*AK] (a bf16 pair, broadcast) . b[v*BV + k*BK ..+16] (16 bf16 pairs)
template <int AR, int AK, int BV, int BK, int M, int N>
inline __attribute__((always_inline)) void mma(const pair_t* a, const pair_t* b, int steps,
                                               __m512 (&c)[M][N]) {
#pragma GCC unroll 2
  for (int k = 0; k < steps; ++k, a += AK, b += BK) {
    __m512bh bv[N];
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) bv[v] = (__m512bh)_mm512_load_si512(b + v * BV);
#pragma GCC unroll 8
    for (int r = 0; r < M; ++r) {
      const __m512bh av = (__m512bh)_mm512_set1_epi32((int)a[r * AR]);
#pragma GCC unroll 8
      for (int v = 0; v < N; ++v) c[r][v] = _mm512_dpbf16_ps(c[r][v], bv[v], av);
    }
  }
}

// c[r][v] = values[r] in every lane
template <int M, int N>
inline __attribute__((always_inline)) void broadcast_rows(const float* values, __m512 (&c)[M][N]) {
#pragma GCC unroll 8
  for (int r = 0; r < M; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) c[r][v] = _mm512_set1_ps(values[r]);
}

// c[r][v] = rows[r·Stride + 16·v ..+16]
template <int Stride, int M, int N>
inline __attribute__((always_inline)) void load_tile(const float* rows, __m512 (&c)[M][N]) {
#pragma GCC unroll 8
  for (int r = 0; r < M; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) c[r][v] = _mm512_load_ps(rows + r * Stride + 16 * v);
}

template <int Stride, int M, int N>
inline __attribute__((always_inline)) void store_tile(float* rows, const __m512 (&c)[M][N]) {
#pragma GCC unroll 8
  for (int r = 0; r < M; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) _mm512_store_ps(rows + r * Stride + 16 * v, c[r][v]);
}

}  // namespace
}  // namespace cacheclip::avx512
