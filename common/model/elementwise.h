// The steps of a layer between its matrix products, on tensors: one fused pass in bf16 on CPUs with AVX-512
// BF16 and in fp32 on those with AVX2, libtorch operations on every other device and dtype. All round at the
// same places. Internal to common/model; stateless.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/model/rope.h"

namespace cacheclip {

// x / rms(x) in fp32, rounded to x's dtype, times weight. Over the last dimension; any leading ones.
at::Tensor RmsNorm(const at::Tensor& x,       // [..., columns], last dimension contiguous
                   const at::Tensor& weight,  // [columns]
                   double epsilon);

// Rotate() of rope.h for every head of every row; the result is contiguous.
at::Tensor RotateHeads(const at::Tensor& x,  // [num_rows, num_heads, head_dim], heads contiguous within a row
                       const RotationTable& table);

// silu(gate) · up.
at::Tensor SwiGlu(const at::Tensor& gate_up);  // [num_rows, 2 · columns] -> [num_rows, columns]

// x += y, both contiguous and of one shape.
void AddInPlace(at::Tensor& x, const at::Tensor& y);

}  // namespace cacheclip
