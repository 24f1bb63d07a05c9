#include "common/model/kernels/elementwise_avx2.h"

#include <cmath>

#include "common/model/kernels/parallel_rows.h"
#include "common/model/kernels/simd.h"

namespace cacheclip::fp32 {
namespace {

// Below this many elements a second thread costs more than it helps.
constexpr int64_t kParallelElements = 1 << 14;

}  // namespace

void RmsNorm(const float* x, int64_t x_stride, const float* weight, float epsilon, float* out,
             int64_t out_stride, int64_t rows, int64_t columns, int num_threads) {
  ForEachRow(rows, rows * columns, kParallelElements, num_threads, [&](int64_t row) {
    const float* const from = x + row * x_stride;
    float* const to = out + row * out_stride;
    __m256 sum = _mm256_setzero_ps();
    for (int64_t c = 0; c < columns; c += 8) {
      const __m256 v = _mm256_loadu_ps(from + c);
      sum = _mm256_fmadd_ps(v, v, sum);
    }
    const __m256 scale = _mm256_set1_ps(1 / std::sqrt(SumOf(sum) / static_cast<float>(columns) + epsilon));
    for (int64_t c = 0; c < columns; c += 8)
      _mm256_storeu_ps(to + c, _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(from + c), scale),
                                             _mm256_loadu_ps(weight + c)));
  });
}

void RotateRows(const float* x, int64_t x_stride, const float* cosine, const float* sine, const HeadRows& out,
                int64_t rows, int num_heads, int head_dim, int num_threads) {
  const int64_t half = head_dim / 2, elements = rows * num_heads * head_dim;
  ForEachRow(rows, elements, kParallelElements, num_threads, [&](int64_t row) {
    for (int head = 0; head < num_heads; ++head) {
      const float* const from = x + row * x_stride + int64_t{head} * head_dim;
      float* const to = out.data + row * out.row_stride + head * out.head_stride;
      for (int64_t i = 0; i < half; i += 8) {
        const __m256 first = _mm256_loadu_ps(from + i), second = _mm256_loadu_ps(from + half + i);
        const __m256 c = _mm256_loadu_ps(cosine + row * half + i), s = _mm256_loadu_ps(sine + row * half + i);
        _mm256_storeu_ps(to + i, _mm256_sub_ps(_mm256_mul_ps(first, c), _mm256_mul_ps(second, s)));
        _mm256_storeu_ps(to + half + i, _mm256_add_ps(_mm256_mul_ps(second, c), _mm256_mul_ps(first, s)));
      }
    }
  });
}

}  // namespace cacheclip::fp32
