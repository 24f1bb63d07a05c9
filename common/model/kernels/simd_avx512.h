// The vectors of simd.h with AVX-512. Included by simd.h alone.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace cacheclip::fp32 {
namespace {

using Vec = __m512;      // fp32
using IntVec = __m512i;  // int32, or pairs of int16
constexpr int kLanes = 16;

inline Vec Zero() { return _mm512_setzero_ps(); }
inline Vec Broadcast(float x) { return _mm512_set1_ps(x); }
inline Vec Load(const float* x) { return _mm512_loadu_ps(x); }
inline Vec LoadFirst(const float* x, int64_t count) {  // zeros behind them; count may be anything
  const int64_t lanes = count < 0 ? 0 : count < kLanes ? count : kLanes;
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << lanes) - 1), x);
}
inline void Store(float* out, Vec x) { _mm512_storeu_ps(out, x); }
inline Vec Add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec Subtract(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
inline Vec Product(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec Quotient(Vec a, Vec b) { return _mm512_div_ps(a, b); }
inline Vec MultiplyAdd(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec Max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
inline Vec Magnitude(Vec x) { return _mm512_abs_ps(x); }
inline float MaxOf(Vec x) { return _mm512_reduce_max_ps(x); }
inline float SumOf(Vec x) { return _mm512_reduce_add_ps(x); }
inline bool AnyAbove(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }

// Lane by lane: x where a >= b, else 0.
inline Vec WhereNotBelow(Vec a, Vec b, Vec x) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), x);
}
// x in the lanes whose limit is not below `index`, `otherwise` in the others.
inline Vec WhereWithin(const int32_t* limits, int index, Vec x, Vec otherwise) {
  const __mmask16 beyond = _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(index), _mm512_loadu_si512(limits));
  return _mm512_mask_mov_ps(x, beyond, otherwise);
}

// The parts of x = whole + part, 0 <= part < 1, that Exp2() needs: part, and p · 2^whole.
inline Vec Fraction(Vec x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
inline Vec TimesPowerOfFloor(Vec p, Vec x, Vec) { return _mm512_scalef_ps(p, x); }

inline Vec WidenBf16(const uint16_t* x) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x))), 16));
}
inline __m256i RoundToBf16(Vec x) {  // to nearest even
#if defined(__AVX512BF16__)
  return (__m256i)_mm512_cvtneps_pbh(x);
#else
  const __m512i bits = _mm512_castps_si512(x),
                odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded =
      _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc0)));
#endif
}
inline void StoreBf16(uint16_t* out, Vec x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), RoundToBf16(x));
}
#if defined(__AVX512BF16__)
// sums + a₀·b₀ + a₁·b₁ of the pairs of bf16 in each lane.
inline Vec AddBf16Products(Vec sums, IntVec a, IntVec b) {
  return _mm512_dpbf16_ps(sums, (__m512bh)a, (__m512bh)b);
}
#endif

inline IntVec ZeroInts() { return _mm512_setzero_si512(); }
inline IntVec AddInts(IntVec a, IntVec b) { return _mm512_add_epi32(a, b); }
inline IntVec LoadInts(const void* x) { return _mm512_loadu_si512(x); }
inline void StoreInts(void* out, IntVec x) { _mm512_storeu_si512(out, x); }
inline IntVec BroadcastPair(const void* x) {
  int32_t pair;
  std::memcpy(&pair, x, sizeof(pair));
  return _mm512_set1_epi32(pair);
}
// sums + a₀·b₀ + a₁·b₁ of the pairs of int16 in each lane.
inline IntVec AddPairProducts(IntVec sums, IntVec a, IntVec b) { return _mm512_dpwssd_epi32(sums, a, b); }
inline IntVec WidenInt8(const void* x) {  // 2 · kLanes of them, to int16
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(x)));
}
inline IntVec BroadcastByte(uint8_t x) { return _mm512_set1_epi8(static_cast<char>(x)); }
inline IntVec BroadcastQuad(const int8_t* x) {
  int32_t quad;
  std::memcpy(&quad, x, sizeof(quad));
  return _mm512_set1_epi32(quad);
}
// sums + a₀·b₀ + … + a₃·b₃ of the int8 of a and the uint8 of b in each lane.
inline IntVec AddQuadProducts(IntVec sums, IntVec a, IntVec b) { return _mm512_dpbusd_epi32(sums, b, a); }
// Of kLanes pairs of bytes each: first₀ first₁ second₀ second₁ in a lane.
inline IntVec JoinPairs(const void* first, const void* second) {
  const auto widen = [](const void* x) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(x)));
  };
  return _mm512_or_si512(widen(first), _mm512_slli_epi32(widen(second), 16));
}
inline IntVec ExclusiveOr(IntVec a, IntVec b) { return _mm512_xor_si512(a, b); }
inline Vec ToFloat(IntVec x) { return _mm512_cvtepi32_ps(x); }
inline void StoreRounded(int16_t* out, Vec x) {  // to the nearest integer
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(x)));
}
inline IntVec Round(Vec x) { return _mm512_cvtps_epi32(x); }  // to the nearest integer
inline void StoreBytes(int8_t* out, IntVec x) {               // saturating
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtsepi32_epi8(x));
}
// Pairs of int16: the nearest integers to `even` and `odd`.
inline IntVec RoundPairs(Vec even, Vec odd) {
  return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_cvtps_epi32(even),
                                 _mm512_slli_epi32(_mm512_cvtps_epi32(odd), 16));
}

// Eight elements of `first`, then eight of `second`; with 8 lanes those of `first` alone.
inline Vec LoadEights(const float* first, const float* second) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(first)), _mm256_loadu_ps(second), 1);
}
inline void StoreEights(float* first, float* second, Vec x) {
  _mm256_storeu_ps(first, _mm512_castps512_ps256(x));
  _mm256_storeu_ps(second, _mm512_extractf32x8_ps(x, 1));
}

inline void StoreEights(uint16_t* first, uint16_t* second, Vec x) {
  const __m256i narrow = RoundToBf16(x);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(first), _mm256_castsi256_si128(narrow));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(second), _mm256_extracti128_si256(narrow, 1));
}

inline __m256i FoldHalves(IntVec x) {
  return _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
}
inline __m256 FoldHalves(Vec x) {
  return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
}

}  // namespace
}  // namespace cacheclip::fp32
