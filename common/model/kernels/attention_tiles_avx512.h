// The two register-tiled softmax blocks of the attention kernel, included by attention_avx512.cc alone.
// Block: many query rows, queries in SIMD lanes — the (row, head-in-group) pairs of one kv head are flattened
// and cut in blocks of 16·NV lanes, so a key or value element loaded once (as a 32-bit broadcast) serves the
// whole group:
//   S^T[key][lane] = Σ_d K[key][d] · Q^T[d][lane]        O^T[d][lane] += Σ_key V[key][d] · P^T[key][lane]
// Both products are the same register tile and softmax needs no horizontal operation. Few: up to 16 lanes
// (decode), keys and components in SIMD lanes. Both keep a running maximum that need not be exact: exp2 of a
// difference cannot overflow before kMaxTileSum is noticed. Compiled with AVX-512 BF16 flags. Not
// thread-safe: one object per thread.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "common/model/kernels/attention_avx512.h"

namespace cacheclip::avx512 {
namespace {

constexpr int kKeyTile = 128;           // keys per tile
constexpr int kTileRows = 8;            // accumulator rows (keys in QK^T, components of d in PV)
constexpr float kMaxTileSum = 0x1p40f;  // tile sums above this make the running maximum move

typedef uint32_t __attribute__((may_alias)) pair_t;  // two bf16

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

// Many rows: 16*NV lanes, queries in SIMD lanes.
template <int D, int NV>
struct Block {
  static constexpr int L = 16 * NV;
  alignas(64) pair_t q[D / 2][L];  // Q^T, pairs of d
  alignas(64) float o[D][L];
  alignas(64) float m[L], l[L];
  alignas(64) int32_t pos[L];
  alignas(64) pair_t P[kKeyTile / 2][L];  // P^T of the current tile, pairs of keys
  int lane0, lanes;

  void init(const AttentionArguments& a, int kv_head, int lane0_, int lanes_) {
    const int g = a.num_heads / a.num_kv_heads;
    lane0 = lane0_, lanes = lanes_;
    for (int i = 0; i < L; ++i) {
      const int lane = lane0 + std::min(i, lanes - 1);  // idle lanes repeat the last one
      const auto* src =
          (const pair_t*)(a.queries + ((size_t)(lane / g) * a.num_heads + kv_head * g + lane % g) * D);
      for (int k = 0; k < D / 2; ++k) q[k][i] = src[k];
      pos[i] = a.limits[lane / g];
      m[i] = -1e30f, l[i] = 0;
    }
    memset(o, 0, sizeof o);
  }

  // Move the running maximum so that it covers keys [k0, k1) and rescale O and l.
  void raise_max(const pair_t* K, int k0, int k1, float c2) {
    __m512 mx[NV];
    for (int v = 0; v < NV; ++v) mx[v] = _mm512_load_ps(m + 16 * v);
    for (int k = k0; k < k1; k += kTileRows) {
      __m512 c[kTileRows][NV] = {};
      mma<1, 16, 16, L>(K + (size_t)(k / 16) * 8 * D + k % 16, q[0], D / 2, c);
      for (int r = 0; r < kTileRows; ++r)
        for (int v = 0; v < NV; ++v) {
          __mmask16 ok = _mm512_cmple_epi32_mask(_mm512_set1_epi32(k + r), _mm512_load_si512(pos + 16 * v));
          mx[v] = _mm512_mask_max_ps(mx[v], ok, mx[v], _mm512_mul_ps(c[r][v], _mm512_set1_ps(c2)));
        }
    }
    for (int v = 0; v < NV; ++v) {
      __m512 alpha = exp2_ps(_mm512_sub_ps(_mm512_load_ps(m + 16 * v), mx[v]));
      _mm512_store_ps(m + 16 * v, mx[v]);
      _mm512_store_ps(l + 16 * v, _mm512_mul_ps(alpha, _mm512_load_ps(l + 16 * v)));
      for (int d = 0; d < D; ++d)
        _mm512_store_ps(o[d] + 16 * v, _mm512_mul_ps(alpha, _mm512_load_ps(o[d] + 16 * v)));
    }
  }

  // P^T = 2^(c2*S^T - m) for keys [k0, k1), as bf16 pairs of keys; returns the lane sums in sum.
  template <bool Mask>
  void scores(const pair_t* K, int k0, int k1, float c2, __m512 (&sum)[NV]) {
    for (int v = 0; v < NV; ++v) sum[v] = _mm512_setzero_ps();
    for (int k = k0; k < k1; k += kTileRows) {
      __m512 c[kTileRows][NV] = {};
      mma<1, 16, 16, L>(K + (size_t)(k / 16) * 8 * D + k % 16, q[0], D / 2, c);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        const __m512 mv = _mm512_load_ps(m + 16 * v);
#pragma GCC unroll 8
        for (int r = 0; r < kTileRows; r += 2) {
          __m512 p[2];
#pragma GCC unroll 2
          for (int i = 0; i < 2; ++i) {
            p[i] = exp2_ps(_mm512_fmsub_ps(c[r + i][v], _mm512_set1_ps(c2), mv));
            if (Mask)
              p[i] = _mm512_maskz_mov_ps(
                  _mm512_cmple_epi32_mask(_mm512_set1_epi32(k + r + i), _mm512_load_si512(pos + 16 * v)),
                  p[i]);
            sum[v] = _mm512_add_ps(sum[v], p[i]);
          }
          _mm512_store_si512(P[(k - k0 + r) / 2] + 16 * v, pack_pairs(p[0], p[1]));
        }
      }
    }
  }

  void tile(const pair_t* K, const pair_t* V, int k0, int k1, float c2, bool first) {
    k1 = std::min(k1, pos[lanes - 1] + 1);
    if (k0 >= k1) return;
    const bool mask = k1 + kTileRows - 1 > pos[0];  // some row's position may lie inside the tile
    k1 = k0 + (k1 - k0 + kTileRows - 1) / kTileRows * kTileRows;
    __m512 sum[NV];
    if (first) raise_max(K, k0, k0 + kTileRows, c2);  // a rough start is enough
    for (;;) {
      if (mask)
        scores<true>(K, k0, k1, c2, sum);
      else
        scores<false>(K, k0, k1, c2, sum);
      bool high = false;  // rare: scores far above the maximum in use (it need not be exact)
      for (int v = 0; v < NV; ++v)
        high |= _mm512_cmp_ps_mask(sum[v], _mm512_set1_ps(kMaxTileSum), _CMP_GT_OQ) != 0;
      if (!high) break;
      raise_max(K, k0, k1, c2);
    }
    for (int v = 0; v < NV; ++v)
      _mm512_store_ps(l + 16 * v, _mm512_add_ps(sum[v], _mm512_load_ps(l + 16 * v)));
    for (int d = 0; d < D; d += kTileRows) {
      __m512 c[kTileRows][NV];
#pragma GCC unroll 8
      for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) c[r][v] = _mm512_load_ps(o[d + r] + 16 * v);
      mma<1, D, 16, L>(V + (size_t)(k0 / 2) * D + d, P[0], (k1 - k0) / 2, c);
#pragma GCC unroll 8
      for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) _mm512_store_ps(o[d + r] + 16 * v, c[r][v]);
    }
  }

  // Fold in the same lanes' result over another key range.
  void merge(const Block& x) {
    for (int i = 0; i < L; i += 16) {
      const __m512 ma = _mm512_load_ps(m + i), mb = _mm512_load_ps(x.m + i), mm = _mm512_max_ps(ma, mb);
      const __m512 wa = exp2_ps(_mm512_sub_ps(ma, mm)), wb = exp2_ps(_mm512_sub_ps(mb, mm));
      auto mix = [&](float* p, const float* q) {
        _mm512_store_ps(p, _mm512_fmadd_ps(_mm512_load_ps(p), wa, _mm512_mul_ps(_mm512_load_ps(q), wb)));
      };
      _mm512_store_ps(m + i, mm);
      mix(l + i, x.l + i);
      for (int d = 0; d < D; ++d) mix(o[d] + i, x.o[d] + i);
    }
  }

  // Normalise, convert (the bf16 pairs replace q) and write the lanes out.
  void finish(const AttentionArguments& a, int kv_head) {
    for (int i = 0; i < L; i += 16) {
      const __m512 inv = _mm512_div_ps(_mm512_set1_ps(1), _mm512_load_ps(l + i));
      for (int d = 0; d < D; d += 2)
        _mm512_store_si512(q[d / 2] + i, pack_pairs(_mm512_mul_ps(inv, _mm512_load_ps(o[d] + i)),
                                                    _mm512_mul_ps(inv, _mm512_load_ps(o[d + 1] + i))));
    }
    const int g = a.num_heads / a.num_kv_heads;
    for (int i = 0; i < lanes; ++i) {
      auto* dst =
          (pair_t*)(a.out + ((size_t)((lane0 + i) / g) * a.num_heads + kv_head * g + (lane0 + i) % g) * D);
      for (int k = 0; k < D / 2; ++k) dst[k] = q[k][i];
    }
  }
};

// A few lanes (decode): keys, then components of d, in SIMD lanes, so that the work follows the number of
// lanes.
template <int D>
struct Few {
  static constexpr int L = 16, M = 4, S = 64;  // lanes at most, lanes and keys per register tile
  alignas(64) pair_t q[L][D / 2];
  alignas(64) float o[L][D], l[L][16];
  alignas(64) pair_t P[M][S / 2];
  float m[L];
  int32_t pos[L];
  int lane0, lanes;

  void init(const AttentionArguments& a, int kv_head, int lane0_, int lanes_) {
    const int g = a.num_heads / a.num_kv_heads;
    lane0 = lane0_, lanes = lanes_;
    for (int i = 0; i < L; ++i) {
      const int lane = lane0 + std::min(i, lanes - 1);
      memcpy(q[i], a.queries + ((size_t)(lane / g) * a.num_heads + kv_head * g + lane % g) * D, sizeof q[i]);
      pos[i] = a.limits[lane / g], m[i] = -1e30f;
    }
    memset(o, 0, sizeof o), memset(l, 0, sizeof l);
  }

  void scale_by(int i, float f) {
    const __m512 w = _mm512_set1_ps(f);
    _mm512_store_ps(l[i], _mm512_mul_ps(w, _mm512_load_ps(l[i])));
    for (int d = 0; d < D; d += 16) _mm512_store_ps(o[i] + d, _mm512_mul_ps(w, _mm512_load_ps(o[i] + d)));
  }

  void tile(const pair_t* K, const pair_t* V, int k0, int k1, float c2, bool) {
    for (int k = k0; k < k1; k += S)
      for (int i = 0; i < lanes; i += M) {
        __m512 c[M][4] = {};
        mma<D / 2, 1, 8 * D, 16>(q[i], K + (size_t)k * (D / 2), D / 2, c);
        for (int r = 0; r < M; ++r) {
          const __m512i last =
              _mm512_sub_epi32(_mm512_set1_epi32(pos[i + r] - k),
                               _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
          for (int v = 0; v < 4; ++v)
            c[r][v] = _mm512_mask_mul_ps(_mm512_set1_ps(-1e30f),
                                         _mm512_cmpge_epi32_mask(last, _mm512_set1_epi32(16 * v)), c[r][v],
                                         _mm512_set1_ps(c2));
          const float top = _mm512_reduce_max_ps(
              _mm512_max_ps(_mm512_max_ps(c[r][0], c[r][1]), _mm512_max_ps(c[r][2], c[r][3])));
          if (top > m[i + r]) scale_by(i + r, __builtin_exp2f(m[i + r] - top)), m[i + r] = top;
          // a lane with nothing visible yet keeps m = -1e30: all its weights must be 0, not 1
          const __m512 mv = _mm512_set1_ps(std::max(m[i + r], -1e29f));
          for (int v = 0; v < 4; ++v) c[r][v] = exp2_ps(_mm512_sub_ps(c[r][v], mv));
          _mm512_store_ps(l[i + r], _mm512_add_ps(_mm512_load_ps(l[i + r]),
                                                  _mm512_add_ps(_mm512_add_ps(c[r][0], c[r][1]),
                                                                _mm512_add_ps(c[r][2], c[r][3]))));
          _mm512_store_si512(P[r], (__m512i)_mm512_cvtne2ps_pbh(c[r][1], c[r][0]));
          _mm512_store_si512(P[r] + 16, (__m512i)_mm512_cvtne2ps_pbh(c[r][3], c[r][2]));
        }
        for (int d = 0; d < D; d += 64) {
          for (int r = 0; r < M; ++r)
            for (int v = 0; v < 4; ++v) c[r][v] = _mm512_load_ps(o[i + r] + d + 16 * v);
          mma<S / 2, 1, 16, D>(P[0], V + (size_t)(k / 2) * D + d, S / 2, c);
          for (int r = 0; r < M; ++r)
            for (int v = 0; v < 4; ++v) _mm512_store_ps(o[i + r] + d + 16 * v, c[r][v]);
        }
      }
  }

  void merge(Few& x) {
    for (int i = 0; i < lanes; ++i) {
      const float top = std::max(m[i], x.m[i]);
      scale_by(i, __builtin_exp2f(m[i] - top)), x.scale_by(i, __builtin_exp2f(x.m[i] - top)), m[i] = top;
      _mm512_store_ps(l[i], _mm512_add_ps(_mm512_load_ps(l[i]), _mm512_load_ps(x.l[i])));
      for (int d = 0; d < D; d += 16)
        _mm512_store_ps(o[i] + d, _mm512_add_ps(_mm512_load_ps(o[i] + d), _mm512_load_ps(x.o[i] + d)));
    }
  }

  void finish(const AttentionArguments& a, int kv_head) {
    const int g = a.num_heads / a.num_kv_heads;
    for (int i = 0; i < lanes; ++i) {
      scale_by(i, 1 / _mm512_reduce_add_ps(_mm512_load_ps(l[i])));
      Bf16* dst = a.out + ((size_t)((lane0 + i) / g) * a.num_heads + kv_head * g + (lane0 + i) % g) * D;
      for (int d = 0; d < D; d += 16)
        _mm256_storeu_si256((__m256i*)(dst + d), (__m256i)_mm512_cvtneps_pbh(_mm512_load_ps(o[i] + d)));
    }
  }
};

}  // namespace
}  // namespace cacheclip::avx512
