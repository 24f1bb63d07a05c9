// The widest vectors that a kernel file's compile flags give, under one name: 16 lanes with AVX-512, 8 with
// AVX2. A kernel written with them is compiled once for each (the *_avx2.cc and *_avx512.cc beside it), so
// everything here is internal to the file that includes it.
#pragma once

#if defined(__AVX512F__)
#include "common/model/kernels/simd_avx512.h"
#else
#include "common/model/kernels/simd_avx2.h"
#endif

namespace cacheclip::fp32 {
namespace {

// Weights and sigmoids this small, in base 2, are nothing beside 1. Nor are they so small that what they are
// multiplied by makes a denormal number of them: those take Intel's CPUs a hundred times as long.
constexpr float kLeastPower = -100;

// 2^x, relative error 3e-7; of anything below kLeastPower what it is there.
inline Vec Exp2(Vec x) {
  x = Max(x, Broadcast(kLeastPower));
  const Vec part = Fraction(x);
  Vec p = Broadcast(1.8775767e-3f);
  p = MultiplyAdd(p, part, Broadcast(8.9893397e-3f));
  p = MultiplyAdd(p, part, Broadcast(5.5826318e-2f));
  p = MultiplyAdd(p, part, Broadcast(2.4015361e-1f));
  p = MultiplyAdd(p, part, Broadcast(6.9315308e-1f));
  p = MultiplyAdd(p, part, Broadcast(9.9999994e-1f));
  return TimesPowerOfFloor(p, x, part);
}

// x · sigmoid(x). The power of two is taken of a number that is not above 0, whatever the sign of x.
inline Vec Silu(Vec x) {
  const Vec one = Broadcast(1.0f);
  const Vec power = Exp2(Product(Magnitude(x), Broadcast(-1.44269504f)));  // e^-|x|
  const Vec numerator = Max(power, WhereNotBelow(x, Zero(), one));  // sigmoid of x < 0: e^-|x| / (1 + e^-|x|)
  return Product(x, Quotient(numerator, Add(one, power)));
}

// Element i holds the sum of rows[i].
inline __m256i SumsOf(const IntVec (&rows)[8]) {
  const auto pair = [&](int i) { return _mm256_hadd_epi32(FoldHalves(rows[i]), FoldHalves(rows[i + 1])); };
  const __m256i low = _mm256_hadd_epi32(pair(0), pair(2)), high = _mm256_hadd_epi32(pair(4), pair(6));
  return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                          _mm256_permute2x128_si256(low, high, 0x31));
}
inline __m256 SumsOf(const Vec (&rows)[8]) {
  const auto pair = [&](int i) { return _mm256_hadd_ps(FoldHalves(rows[i]), FoldHalves(rows[i + 1])); };
  const __m256 low = _mm256_hadd_ps(pair(0), pair(2)), high = _mm256_hadd_ps(pair(4), pair(6));
  return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

}  // namespace
}  // namespace cacheclip::fp32
