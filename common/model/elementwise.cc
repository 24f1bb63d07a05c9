#include "common/model/elementwise.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>

#include "common/model/kernels/elementwise_avx2.h"
#include "common/model/kernels/elementwise_avx512.h"
#include "common/model/kernels/isa.h"

namespace cacheclip {
namespace {

using avx512::Bf16;

bool UsesKernels(const at::Tensor& x, int64_t vector_length) {
  return x.is_cpu() && x.scalar_type() == at::kBFloat16 && vector_length % 16 == 0 &&
         ActiveIsa() == Isa::kAvx512Bf16;
}

// The fp32 kernels.
bool UsesWideKernels(const at::Tensor& x, int64_t vector_length) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && vector_length % 8 == 0 && ActiveIsa() >= Isa::kAvx2;
}

const Bf16* Data(const at::Tensor& tensor) { return static_cast<const Bf16*>(tensor.const_data_ptr()); }
Bf16* MutableData(at::Tensor& tensor) { return static_cast<Bf16*>(tensor.mutable_data_ptr()); }

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const int64_t columns = x.size(-1);
  if (UsesKernels(x, columns) && x.dim() <= 3 && x.stride(-1) == 1) {
    at::Tensor out = at::empty(x.sizes(), x.options());
    if (x.dim() == 3) {  // heads of a row are normalised one by one; rows may be slices of a wider matrix
      for (int64_t head = 0; head < x.size(1); ++head)
        avx512::RmsNorm(Data(x) + head * x.stride(1), x.stride(0), Data(weight), static_cast<float>(epsilon),
                        MutableData(out) + head * columns, out.stride(0), x.size(0), columns,
                        at::get_num_threads());
      return out;
    }
    avx512::RmsNorm(Data(x), x.dim() == 1 ? columns : x.stride(0), Data(weight), static_cast<float>(epsilon),
                    MutableData(out), columns, x.numel() / columns, columns, at::get_num_threads());
    return out;
  }
  if (UsesWideKernels(x, columns) && x.dim() == 2 && x.stride(1) == 1) {
    at::Tensor out = at::empty(x.sizes(), x.options());
    fp32::RmsNorm(x.const_data_ptr<float>(), x.stride(0), weight.const_data_ptr<float>(),
                  static_cast<float>(epsilon), out.mutable_data_ptr<float>(), columns, x.size(0), columns,
                  at::get_num_threads());
    return out;
  }
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(wide.pow(2).mean(-1, /*keepdim=*/true).add_(epsilon));
  return (wide * scale).to(x.scalar_type()) * weight;
}

at::Tensor RotateHeads(const at::Tensor& x, const RotationTable& table) {
  const int64_t head_dim = x.size(2);
  const bool heads_together = x.stride(2) == 1 && x.stride(1) == head_dim;
  if (UsesWideKernels(x, head_dim / 2) && heads_together) {
    at::Tensor out = at::empty(x.sizes(), x.options());
    fp32::RotateRows(x.const_data_ptr<float>(), x.stride(0), table.cosine.const_data_ptr<float>(),
                     table.sine.const_data_ptr<float>(),
                     {out.mutable_data_ptr<float>(), out.stride(0), out.stride(1)}, x.size(0),
                     static_cast<int>(x.size(1)), static_cast<int>(head_dim), at::get_num_threads());
    return out;
  }
  if (!UsesKernels(x, head_dim / 2) || !heads_together) return Rotate(x, table);
  at::Tensor out = at::empty(x.sizes(), x.options());
  avx512::RotateRows(Data(x), x.stride(0), table.cosine.const_data_ptr<float>(),
                     table.sine.const_data_ptr<float>(), MutableData(out), x.size(0),
                     static_cast<int>(x.size(1)), static_cast<int>(head_dim), at::get_num_threads());
  return out;
}

at::Tensor SwiGlu(const at::Tensor& gate_up) {
  const int64_t columns = gate_up.size(1) / 2;
  if (!UsesKernels(gate_up, columns))
    return at::silu(gate_up.slice(1, 0, columns)) * gate_up.slice(1, columns);
  at::Tensor out = at::empty({gate_up.size(0), columns}, gate_up.options());
  avx512::SwiGlu(Data(gate_up), MutableData(out), gate_up.size(0), columns, at::get_num_threads());
  return out;
}

void AddInPlace(at::Tensor& x, const at::Tensor& y) {
  if (UsesKernels(x, x.numel()) && x.is_contiguous() && y.is_contiguous())
    avx512::Add(MutableData(x), Data(y), x.numel(), at::get_num_threads());
  else
    x.add_(y);
}

}  // namespace cacheclip
