// A few lanes (decode): keys, then components of d, lie in SIMD lanes, so that the work follows the number of
// lanes. Same interface as Block (attention_block_avx512.h). One object per thread.
#pragma once

#include <algorithm>
#include <cstring>

#include "common/model/kernels/attention_primitives_avx512.h"
#include "common/model/kernels/byte_keys_avx512.h"

namespace cacheclip::avx512 {
namespace {

template <int D>
struct Few {
  static constexpr int L = 16, M = 4, S = 64;  // lanes at most, lanes and keys per register tile
  static constexpr bool kRoundsKeys = false;
  static int seen_from(int k) { return k; }
  alignas(64) pair_t q[L][D / 2];
  alignas(64) float o[L][D], l[L][16];
  alignas(64) pair_t P[M][S / 2];
  float m[L];
  int32_t pos[L];
  const pair_t* K;
  const float* slot_bias;
  float c2;
  int lane0, lanes;

  void init(const AttentionArguments& a, const ByteKeys&, int kv_head, int lane0_, int lanes_) {
    const int g = a.num_heads / a.num_kv_heads;
    lane0 = lane0_, lanes = lanes_, slot_bias = a.slot_bias;
    K = (const pair_t*)(a.keys + (size_t)kv_head * a.capacity * D), c2 = a.scale * kLog2OfE;
    for (int i = 0; i < L; ++i) {
      const int lane = lane0 + std::min(i, lanes - 1);
      memcpy(q[i], a.queries + lane_offset(a, kv_head, lane), sizeof q[i]);
      pos[i] = a.limits[lane / g], m[i] = -1e30f;
    }
    memset(o, 0, sizeof o), memset(l, 0, sizeof l);
  }

  void scale_by(int i, float f) {
    const __m512 w = _mm512_set1_ps(f);
    _mm512_store_ps(l[i], _mm512_mul_ps(w, _mm512_load_ps(l[i])));
    for (int d = 0; d < D; d += 16) _mm512_store_ps(o[i] + d, _mm512_mul_ps(w, _mm512_load_ps(o[i] + d)));
  }

  void tile(const pair_t* V, int k0, int k1, bool) {
    for (int k = k0; k < k1; k += S)
      for (int i = 0; i < lanes; i += M) {
        __m512 c[M][4];
        for (int r = 0; r < M; ++r)
          for (int v = 0; v < 4; ++v) c[r][v] = _mm512_loadu_ps(slot_bias + k + 16 * v);
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
          load_tile<D>(o[i] + d, c);
          mma<S / 2, 1, 16, D>(P[0], V + (size_t)(k / 2) * D + d, S / 2, c);
          store_tile<D>(o[i] + d, c);
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
    for (int i = 0; i < lanes; ++i) {
      scale_by(i, 1 / _mm512_reduce_add_ps(_mm512_load_ps(l[i])));
      Bf16* dst = a.out + lane_offset(a, kv_head, lane0 + i);
      for (int d = 0; d < D; d += 16)
        _mm256_storeu_si256((__m256i*)(dst + d), (__m256i)_mm512_cvtneps_pbh(_mm512_load_ps(o[i] + d)));
    }
  }
};

}  // namespace
}  // namespace cacheclip::avx512
