// Many query rows (prefill): queries lie in SIMD lanes, the (row, head-in-group) pairs of one kv head cut in
// blocks of 16·NV, so that a key or value element loaded once (a 32-bit broadcast) serves the whole group:
//   S^T[key][lane] = Σ_d K[key][d] · Q^T[d][lane]        O^T[d][lane] += Σ_key V[key][d] · P^T[key][lane]
// Both products are the same register tile and softmax needs no horizontal operation. The running maximum
// need not be exact: kMaxTileSum notices scores far above it before exp2 can overflow. Scores are those of
// bf16 queries and keys, or of both rounded to bytes (attention_bytes_avx512.h). One object per thread.
#pragma once

#include <algorithm>
#include <cstring>

#include "common/model/kernels/attention_bytes_avx512.h"
#include "common/model/kernels/attention_pairs_avx512.h"
#include "common/model/kernels/attention_primitives_avx512.h"

namespace cacheclip::avx512 {
namespace {

template <int D, int NV, class Scores = PairScores<D, NV>>
struct Block {
  static constexpr int L = 16 * NV;
  static constexpr bool kRoundsKeys = Scores::kRoundsKeys;  // attends by ByteKeys
  Scores products_of;
  alignas(64) float o[D][L], m[L], l[L];
  LaneLimits<L> limits;
  static_assert(D <= kKeyTile);
  alignas(64) pair_t P[kKeyTile / 2][L];  // P^T of the current tile, pairs of keys
  const int32_t* last_keys;               // LaneLimits::LastKeys() of the current tile
  int lane0, lanes;

  void init(const AttentionArguments& a, const ByteKeys& byte_keys, int kv_head, int lane0_, int lanes_) {
    const int g = a.num_heads / a.num_kv_heads;
    lane0 = lane0_, lanes = lanes_;
    products_of.begin(a, byte_keys, kv_head);
    auto lane = [&](int i) { return lane0 + std::min(i, lanes - 1); };  // idle lanes repeat the last one
    limits.Begin(a.limits, a.local, kv_head, [&](int i) { return lane(i) / g; });
    for (int i = 0; i < L; ++i) {
      products_of.take(i, a.queries + lane_offset(a, kv_head, lane(i)), a.scale * kLog2OfE);
      m[i] = -1e30f, l[i] = 0;
    }
    memset(o, 0, sizeof o);
  }

  int seen_from(int k) const { return limits.SeenFrom(k); }
  __mmask16 sees(int k, int v) const {  // lanes of vector v that attend to key k of the current tile
    return _mm512_cmple_epi32_mask(_mm512_set1_epi32(k), _mm512_load_si512(last_keys + 16 * v));
  }

  __m512 scale(int v) const { return _mm512_load_ps(products_of.scale + 16 * v); }

  // Move the running maximum so that it covers keys [k0, k1) and rescale O and l.
  void raise_max(int k0, int k1) {
    __m512 mx[NV];
    for (int v = 0; v < NV; ++v) mx[v] = _mm512_load_ps(m + 16 * v);
    for (int k = k0; k < k1; k += kTileRows) {
      __m512 c[kTileRows][NV];
      products_of.products(k, c);
      for (int r = 0; r < kTileRows; ++r)
        for (int v = 0; v < NV; ++v) {
          mx[v] = _mm512_mask_max_ps(mx[v], sees(k + r, v), mx[v], _mm512_mul_ps(c[r][v], scale(v)));
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

  // P^T = 2^(S^T - m) for keys [k0, k1), as bf16 pairs of keys; returns the lane sums in sum.
  template <bool Mask>
  void scores(int k0, int k1, __m512 (&sum)[NV]) {
    for (int v = 0; v < NV; ++v) sum[v] = _mm512_setzero_ps();
    for (int k = k0; k < k1; k += kTileRows) {
      __m512 c[kTileRows][NV];
      products_of.products(k, c);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        const __m512 mv = _mm512_load_ps(m + 16 * v), c2 = scale(v);
#pragma GCC unroll 8
        for (int r = 0; r < kTileRows; r += 2) {
          __m512 p[2];
#pragma GCC unroll 2
          for (int i = 0; i < 2; ++i) {
            p[i] = exp2_ps(_mm512_fmsub_ps(c[r + i][v], c2, mv));
            if (Mask) p[i] = _mm512_maskz_mov_ps(sees(k + r + i, v), p[i]);
            sum[v] = _mm512_add_ps(sum[v], p[i]);
          }
          _mm512_store_si512(P[(k - k0 + r) / 2] + 16 * v, pack_pairs(p[0], p[1]));
        }
      }
    }
  }

  void tile(const pair_t* V, int k0, int k1, bool first) {
    if (k0 >= (k1 = std::min(k1, limits.end()))) return;
    k1 = k0 + (k1 - k0 + kTileRows - 1) / kTileRows * kTileRows;
    last_keys = limits.LastKeys(k0);
    __m512 sum[NV];
    if (first) raise_max(k0, k0 + kTileRows);  // a rough start is enough
    for (;;) {
      limits.Hides(k0, k1 - k0) ? scores<true>(k0, k1, sum) : scores<false>(k0, k1, sum);
      bool high = false;  // rare: scores far above the maximum in use (it need not be exact)
      for (int v = 0; v < NV; ++v)
        high |= _mm512_cmp_ps_mask(sum[v], _mm512_set1_ps(kMaxTileSum), _CMP_GT_OQ) != 0;
      if (!high) break;
      raise_max(k0, k1);
    }
    for (int v = 0; v < NV; ++v) _mm512_store_ps(l + 16 * v, sum[v] + _mm512_load_ps(l + 16 * v));
    for (int d = 0; d < D; d += kTileRows) {
      __m512 c[kTileRows][NV];
      load_tile<L>(o[d], c);
      mma<1, D, 16, L>(V + (size_t)(k0 / 2) * D + d, P[0], (k1 - k0) / 2, c);
      store_tile<L>(o[d], c);
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
      _mm512_store_ps(m + i, mm), mix(l + i, x.l + i);
      for (int d = 0; d < D; ++d) mix(o[d] + i, x.o[d] + i);
    }
  }

  // Normalise, convert (the bf16 pairs take P's place) and write the lanes out.
  void finish(const AttentionArguments& a, int kv_head) {
    for (int i = 0; i < L; i += 16) {
      const __m512 inv = _mm512_div_ps(_mm512_set1_ps(1), _mm512_load_ps(l + i));
      for (int d = 0; d < D; d += 2)
        _mm512_store_si512(P[d / 2] + i, pack_pairs(_mm512_mul_ps(inv, _mm512_load_ps(o[d] + i)),
                                                    _mm512_mul_ps(inv, _mm512_load_ps(o[d + 1] + i))));
    }
    for (int i = 0; i < lanes; ++i) {
      auto* dst = (pair_t*)(a.out + lane_offset(a, kv_head, lane0 + i));
      for (int k = 0; k < D / 2; ++k) dst[k] = P[k][i];
    }
  }
};

}  // namespace
}  // namespace cacheclip::avx512
