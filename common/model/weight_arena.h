// Memory for a model's packed weights: a few large blocks on huge pages where the system has them. A decoded
// token reads every weight once; from pages of 4 KiB that takes a fifth longer, and a matrix of one or two
// megabytes alone would get no huge page. Blocks live until the arena and every tensor taken from it are
// gone. Not thread-safe; tensors are.
#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

namespace cacheclip {

class WeightArena {
 public:
  // bytes [num_bytes], uninitialised, aligned to 64.
  at::Tensor Take(int64_t num_bytes);

 private:
  struct Block;
  std::shared_ptr<Block> block_;  // the last one
  int64_t used_ = 0;              // of it
};

}  // namespace cacheclip
