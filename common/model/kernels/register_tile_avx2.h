// The register tiles of the AVX2 kernels: up to 6 rows by 16 columns, which 12 accumulators hold, and the
// lane-wise helpers around them. Included by the AVX2 files alone (needs their compile flags).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace cacheclip::avx2 {
namespace {

constexpr int kTileRows = 6, kTileColumns = 16;

inline float SumOf(__m256 x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

// Lane i holds the sum of rows[i].
inline __m256 SumsOf(const __m256 (&rows)[8]) {
  const __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(rows[0], rows[1]), _mm256_hadd_ps(rows[2], rows[3]));
  const __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(rows[4], rows[5]), _mm256_hadd_ps(rows[6], rows[7]));
  return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

inline float MaxOf(__m256 x) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

// 2^x for x <= 0, relative error 3e-7; 0 far below.
inline __m256 Exp2(__m256 x) {
  x = _mm256_max_ps(x, _mm256_set1_ps(-126.0f));
  const __m256 whole = _mm256_floor_ps(x), part = _mm256_sub_ps(x, whole);
  __m256 p = _mm256_set1_ps(1.8775767e-3f);
  p = _mm256_fmadd_ps(p, part, _mm256_set1_ps(8.9893397e-3f));
  p = _mm256_fmadd_ps(p, part, _mm256_set1_ps(5.5826318e-2f));
  p = _mm256_fmadd_ps(p, part, _mm256_set1_ps(2.4015361e-1f));
  p = _mm256_fmadd_ps(p, part, _mm256_set1_ps(6.9315308e-1f));
  p = _mm256_fmadd_ps(p, part, _mm256_set1_ps(9.9999994e-1f));
  const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}

// x · sigmoid(x). The power of two is taken of a number that is not above 0, whatever the sign of x.
inline __m256 Silu(__m256 x) {
  const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
  const __m256 power = Exp2(_mm256_mul_ps(_mm256_or_ps(x, sign), _mm256_set1_ps(1.44269504f)));  // e^-|x|
  const __m256 numerator = _mm256_blendv_ps(one, power, x);  // sigmoid of x < 0: e^-|x| / (1 + e^-|x|)
  return _mm256_mul_ps(x, _mm256_div_ps(numerator, _mm256_add_ps(one, power)));
}

inline __m256 WidenBf16(const uint16_t* x) {  // 8 bf16 -> fp32
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))), 16));
}

// c[r][0..16] += Σ_k a[r · a_row + k · a_step] · b[k · b_stride + 0..16] for kRows rows.
template <int kRows>
inline void Multiply(const float* a, size_t a_row, size_t a_step, const float* b, size_t b_stride,
                     int64_t steps, float* c, size_t c_stride) {
  __m256 sums[kRows][2];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    sums[r][0] = _mm256_loadu_ps(c + r * c_stride);
    sums[r][1] = _mm256_loadu_ps(c + r * c_stride + 8);
  }
#pragma GCC unroll 2
  for (int64_t k = 0; k < steps; ++k, a += a_step, b += b_stride) {
    const __m256 low = _mm256_loadu_ps(b), high = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m256 factor = _mm256_broadcast_ss(a + r * a_row);
      sums[r][0] = _mm256_fmadd_ps(factor, low, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(factor, high, sums[r][1]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    _mm256_storeu_ps(c + r * c_stride, sums[r][0]);
    _mm256_storeu_ps(c + r * c_stride + 8, sums[r][1]);
  }
}

// Multiply<num_rows>() for 1 to 6 rows whose steps are neighbours.
inline void MultiplyRows(int num_rows, const float* a, size_t a_row, const float* b, size_t b_stride,
                         int64_t steps, float* c, size_t c_stride) {
  switch (num_rows) {
    case 1:
      return Multiply<1>(a, a_row, 1, b, b_stride, steps, c, c_stride);
    case 2:
      return Multiply<2>(a, a_row, 1, b, b_stride, steps, c, c_stride);
    case 3:
      return Multiply<3>(a, a_row, 1, b, b_stride, steps, c, c_stride);
    case 4:
      return Multiply<4>(a, a_row, 1, b, b_stride, steps, c, c_stride);
    case 5:
      return Multiply<5>(a, a_row, 1, b, b_stride, steps, c, c_stride);
    default:
      return Multiply<kTileRows>(a, a_row, 1, b, b_stride, steps, c, c_stride);
  }
}

// The same product in 16-bit integers, two steps of k at once, for kTileRows rows of a that lie together:
// c[16r + j] += Σ_p Σ_i a[(kTileRows · p + r) · 2 + i] · b[(16p + j) · 2 + i], i = 0, 1.
inline void MultiplyPairs(const int16_t* a, const int16_t* b, int64_t pairs, int32_t* c) {
  __m256i sums[kTileRows][2];
  __m256i* const out = reinterpret_cast<__m256i*>(c);
#pragma GCC unroll 6
  for (int r = 0; r < kTileRows; ++r) {
    sums[r][0] = _mm256_loadu_si256(out + 2 * r);
    sums[r][1] = _mm256_loadu_si256(out + 2 * r + 1);
  }
#pragma GCC unroll 2
  for (int64_t p = 0; p < pairs; ++p, a += 2 * kTileRows, b += 2 * kTileColumns) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + kTileColumns));
#pragma GCC unroll 6
    for (int r = 0; r < kTileRows; ++r) {
      const __m256i factor =
          _mm256_castps_si256(_mm256_broadcast_ss(reinterpret_cast<const float*>(a + 2 * r)));
      sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(factor, low));
      sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(factor, high));
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kTileRows; ++r) {
    _mm256_storeu_si256(out + 2 * r, sums[r][0]);
    _mm256_storeu_si256(out + 2 * r + 1, sums[r][1]);
  }
}

}  // namespace
}  // namespace cacheclip::avx2
