// The element-wise steps between the matrix products in fp32, each in one pass over its rows
// (common/model/elementwise.h has the libtorch operations they replace). Functions only; threads come from
// OpenMP. Row lengths are multiples of 8. The caller checks MachineHas(Isa::kAvx2).
#pragma once

#include <cstdint>

namespace cacheclip::fp32 {

// out[r] = x[r] / rms(x[r]) · weight; `x_stride` and `out_stride` elements from row to row.
void RmsNorm(const float* x, int64_t x_stride, const float* weight, float epsilon, float* out,
             int64_t out_stride, int64_t rows, int64_t columns, int num_threads);

struct HeadRows {  // where the heads of rows begin: data + row · row_stride + head · head_stride
  float* data;
  int64_t row_stride, head_stride;
};

// x: rows of num_heads · head_dim, `x_stride` apart. cosine, sine: [rows, head_dim / 2]. The bits are those
// of Rotate() in rope.h.
void RotateRows(const float* x, int64_t x_stride, const float* cosine, const float* sine, const HeadRows& out,
                int64_t rows, int num_heads, int head_dim, int num_threads);

}  // namespace cacheclip::fp32
