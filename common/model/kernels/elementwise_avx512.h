// The element-wise steps between the matrix products, each in one pass over its rows: bf16 in and out, fp32
// inside, with the roundings of the libtorch operations they replace (forward_pass.cc has those as the
// generic path). Functions only; threads come from OpenMP. Row lengths are multiples of 16. The caller checks
// MachineHas().
#pragma once

#include <cstdint>

#include "common/model/kernels/attention_avx512.h"

namespace cacheclip::avx512 {

// out[r] = round(x[r] / rms(x[r])) · weight; `x_stride` and `out_stride` elements from row to row.
void RmsNorm(const Bf16* x, int64_t x_stride, const Bf16* weight, float epsilon, Bf16* out,
             int64_t out_stride, int64_t rows, int64_t columns, int num_threads);

// x: rows of num_heads · head_dim, `x_stride` apart; out contiguous. cosine, sine: [rows, head_dim / 2].
void RotateRows(const Bf16* x, int64_t x_stride, const float* cosine, const float* sine, Bf16* out,
                int64_t rows, int num_heads, int head_dim, int num_threads);

// out[r, c] = silu(gate_up[r, c]) · gate_up[r, columns + c]
void SwiGlu(const Bf16* gate_up, Bf16* out, int64_t rows, int64_t columns, int num_threads);

// x += y; `count` is a multiple of 16.
void Add(Bf16* x, const Bf16* y, int64_t count, int num_threads);

}  // namespace cacheclip::avx512
