// Small vector helpers that the AVX-512 kernel files share. Included by them alone (needs their compile
// flags).
#pragma once

#include <immintrin.h>

#include "common/model/kernels/attention_avx512.h"

namespace cacheclip::avx512 {
namespace {

inline __m512 Widen(__m256i x) {  // 16 bf16 -> fp32
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

inline __m512 Widen(const Bf16* x) { return Widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x))); }

inline __m512 Widen(const int8_t* x) {  // 16 int8 -> fp32
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))));
}

// The bf16 in the lower, and in the upper, halves of 16 numbers.
inline __m512 WidenLow(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
inline __m512 WidenHigh(__m512i pairs) {
  return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)));
}

inline void Narrow(Bf16* out, __m512 x) {  // rounds to nearest even
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), (__m256i)_mm512_cvtneps_pbh(x));
}

inline __m512 RoundToBf16(__m512 x) { return Widen((__m256i)_mm512_cvtneps_pbh(x)); }

// 16 pairs: (x1, x2) -> (x1 cos − x2 sin, x2 cos + x1 sin). Products are rounded one by one, as separate
// tensor operations would: the bits must equal those of Rotate() in rope.h (build with -ffp-contract=off).
inline void RotatePairs(__m512 first, __m512 second, const float* cosine, const float* sine, Bf16* out_first,
                        Bf16* out_second) {
  const __m512 c = _mm512_loadu_ps(cosine), s = _mm512_loadu_ps(sine);
  Narrow(out_first, _mm512_sub_ps(_mm512_mul_ps(first, c), _mm512_mul_ps(second, s)));
  Narrow(out_second, _mm512_add_ps(_mm512_mul_ps(second, c), _mm512_mul_ps(first, s)));
}

// One head [head_dim].
inline void RotateHead(const Bf16* head, const float* cosine, const float* sine, int head_dim, Bf16* out) {
  const int half = head_dim / 2;
  for (int i = 0; i < half; i += 16)
    RotatePairs(Widen(head + i), Widen(head + half + i), cosine + i, sine + i, out + i, out + half + i);
}

}  // namespace
}  // namespace cacheclip::avx512
