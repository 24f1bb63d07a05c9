#include "common/model/kernels/elementwise_avx512.h"

#include <cmath>
#include <initializer_list>

#include "common/model/kernels/parallel_rows.h"
#include "common/model/kernels/vector_avx512.h"

namespace cacheclip::avx512 {
namespace {

// e^x by 2^t: Cody-Waite range reduction and a degree-6 polynomial, relative error below 1e-7; saturates
// cleanly.
inline __m512 Exp(__m512 x) {
  const __m512 t = _mm512_mul_ps(x, _mm512_set1_ps(1.44269504f));
  const __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.0f / 720);
  for (float c : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
  return _mm512_scalef_ps(p, n);
}

// Below this many elements a second thread costs more than it helps.
constexpr int64_t kParallelElements = 1 << 15;

}  // namespace

void RmsNorm(const Bf16* x, int64_t x_stride, const Bf16* weight, float epsilon, Bf16* out,
             int64_t out_stride, int64_t rows, int64_t columns, int num_threads) {
  ForEachRow(rows, rows * columns, kParallelElements, num_threads, [&](int64_t row) {
    const Bf16* from = x + row * x_stride;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t c = 0; c < columns; c += 16) {
      const __m512 v = Widen(from + c);
      sum = _mm512_fmadd_ps(v, v, sum);
    }
    const float scale = 1 / std::sqrt(_mm512_reduce_add_ps(sum) / static_cast<float>(columns) + epsilon);
    for (int64_t c = 0; c < columns; c += 16) {
      const __m512 normed = RoundToBf16(_mm512_mul_ps(Widen(from + c), _mm512_set1_ps(scale)));
      Narrow(out + row * out_stride + c, _mm512_mul_ps(normed, Widen(weight + c)));
    }
  });
}

void RotateRows(const Bf16* x, int64_t x_stride, const float* cosine, const float* sine, Bf16* out,
                int64_t rows, int num_heads, int head_dim, int num_threads) {
  const int64_t columns = static_cast<int64_t>(num_heads) * head_dim;
  ForEachRow(rows, rows * columns, kParallelElements, num_threads, [&](int64_t row) {
    for (int head = 0; head < num_heads; ++head)
      RotateHead(x + row * x_stride + static_cast<int64_t>(head) * head_dim, cosine + row * head_dim / 2,
                 sine + row * head_dim / 2, head_dim,
                 out + row * columns + static_cast<int64_t>(head) * head_dim);
  });
}

void SwiGlu(const Bf16* gate_up, Bf16* out, int64_t rows, int64_t columns, int num_threads) {
  const __m512 one = _mm512_set1_ps(1.0f);
  ForEachRow(rows, rows * columns, kParallelElements, num_threads, [&](int64_t row) {
    const Bf16* gate = gate_up + row * 2 * columns;
    for (int64_t c = 0; c < columns; c += 16) {
      const __m512 g = Widen(gate + c);
      const __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, Exp(_mm512_sub_ps(_mm512_setzero_ps(), g))));
      Narrow(out + row * columns + c, _mm512_mul_ps(RoundToBf16(silu), Widen(gate + columns + c)));
    }
  });
}

void Add(Bf16* x, const Bf16* y, int64_t count, int num_threads) {
  constexpr int64_t kStep = 16;
  ForEachRow(count / kStep, count, kParallelElements, num_threads, [&](int64_t step) {
    Bf16* const to = x + step * kStep;
    Narrow(to, _mm512_add_ps(Widen(to), Widen(y + step * kStep)));
  });
}

}  // namespace cacheclip::avx512
