// Small vector helpers that the AVX-512 kernel files share. Included by them alone (needs their compile
// flags).
#pragma once

#include <immintrin.h>

#include "common/model/kernels/attention_avx512.h"

namespace cacheclip::avx512 {
namespace {

inline __m512 Widen(const Bf16* x) {  // 16 bf16 -> fp32
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x))), 16));
}

inline void Narrow(Bf16* out, __m512 x) {  // rounds to nearest even
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), (__m256i)_mm512_cvtneps_pbh(x));
}

inline __m512 RoundToBf16(__m512 x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x)), 16));
}

// One head [head_dim]: (x1, x2) -> (x1 cos − x2 sin, x2 cos + x1 sin). Products are rounded one by one, as
// separate tensor operations would: the bits must equal those of Rotate() in rope.h (build with
// -ffp-contract=off).
inline void RotateHead(const Bf16* head, const float* cosine, const float* sine, int head_dim, Bf16* out) {
  const int half = head_dim / 2;
  for (int i = 0; i < half; i += 16) {
    const __m512 first = Widen(head + i), second = Widen(head + half + i);
    const __m512 c = _mm512_loadu_ps(cosine + i), s = _mm512_loadu_ps(sine + i);
    Narrow(out + i, _mm512_sub_ps(_mm512_mul_ps(first, c), _mm512_mul_ps(second, s)));
    Narrow(out + half + i, _mm512_add_ps(_mm512_mul_ps(second, c), _mm512_mul_ps(first, s)));
  }
}

}  // namespace
}  // namespace cacheclip::avx512
