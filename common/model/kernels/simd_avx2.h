// The vectors of simd.h with AVX2. Included by simd.h alone.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace cacheclip::fp32 {
namespace {

using Vec = __m256;
using IntVec = __m256i;
constexpr int kLanes = 8;

inline Vec Zero() { return _mm256_setzero_ps(); }
inline Vec Broadcast(float x) { return _mm256_set1_ps(x); }
inline Vec Load(const float* x) { return _mm256_loadu_ps(x); }
inline void Store(float* out, Vec x) { _mm256_storeu_ps(out, x); }
inline Vec Add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline Vec Subtract(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
inline Vec Product(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
inline Vec Quotient(Vec a, Vec b) { return _mm256_div_ps(a, b); }
inline Vec MultiplyAdd(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
inline Vec Max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
inline Vec Magnitude(Vec x) { return _mm256_and_ps(_mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)), x); }
inline float MaxOf(Vec x) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}
inline float SumOf(Vec x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
inline bool AnyAbove(Vec a, Vec b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0; }

inline Vec WhereNotBelow(Vec a, Vec b, Vec x) { return _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ), x); }
inline Vec WhereWithin(const int32_t* limits, int index, Vec x, Vec otherwise) {
  const __m256i beyond = _mm256_cmpgt_epi32(_mm256_set1_epi32(index),
                                            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(limits)));
  return _mm256_blendv_ps(x, otherwise, _mm256_castsi256_ps(beyond));
}

inline Vec Fraction(Vec x) { return _mm256_sub_ps(x, _mm256_floor_ps(x)); }
inline Vec TimesPowerOfFloor(Vec p, Vec x, Vec part) {
  const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(_mm256_sub_ps(x, part)), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}

inline Vec WidenBf16(const uint16_t* x) {
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))), 16));
}
inline void StoreBf16(uint16_t* out, Vec x) {  // rounds to nearest even
  const __m256i bits = _mm256_castps_si256(x),
                odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded =
      _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i quiet = _mm256_set1_epi32(0x7fc0),
                nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i narrow = _mm256_blendv_epi8(rounded, quiet, nan);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   _mm_packus_epi32(_mm256_castsi256_si128(narrow), _mm256_extracti128_si256(narrow, 1)));
}

inline IntVec ZeroInts() { return _mm256_setzero_si256(); }
inline IntVec AddInts(IntVec a, IntVec b) { return _mm256_add_epi32(a, b); }
inline IntVec LoadInts(const void* x) { return _mm256_loadu_si256(static_cast<const __m256i*>(x)); }
inline void StoreInts(void* out, IntVec x) { _mm256_storeu_si256(static_cast<__m256i*>(out), x); }
inline IntVec BroadcastPair(const void* x) {
  int32_t pair;
  std::memcpy(&pair, x, sizeof(pair));
  return _mm256_set1_epi32(pair);
}
inline IntVec AddPairProducts(IntVec sums, IntVec a, IntVec b) {
  return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
}
inline IntVec WidenInt8(const void* x) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(x)));
}
inline Vec ToFloat(IntVec x) { return _mm256_cvtepi32_ps(x); }
inline void StoreRounded(int16_t* out, Vec x) {
  const __m256i whole = _mm256_cvtps_epi32(x);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
}
inline IntVec RoundPairs(Vec even, Vec odd) {
  return _mm256_blend_epi16(_mm256_cvtps_epi32(even), _mm256_slli_epi32(_mm256_cvtps_epi32(odd), 16), 0xaa);
}

inline Vec LoadEights(const float* first, const float*) { return Load(first); }
inline void StoreEights(float* first, float*, Vec x) { Store(first, x); }
inline void StoreEights(uint16_t* first, uint16_t*, Vec x) { StoreBf16(first, x); }

inline __m256i FoldHalves(IntVec x) { return x; }
inline __m256 FoldHalves(Vec x) { return x; }

}  // namespace
}  // namespace cacheclip::fp32
