// Slots or token ids as the index tensor that libtorch's lookups take. Internal to common/model (includes
// libtorch). A function; thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

namespace cacheclip {

inline at::Tensor IndexTensor(std::span<const int32_t> values, at::Device device) {  // [values.size()], int64
  return at::tensor(at::ArrayRef<int32_t>(values.data(), values.size()))
      .to(at::TensorOptions().dtype(at::kLong).device(device));
}

}  // namespace cacheclip
