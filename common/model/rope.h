// Rotary position embedding (RoFormer; llama3 scaling as in the Llama 3.1 reference, linear scaling as in
// position interpolation). Angles and products are fp32 whatever the tensors' dtype, so a rotation depends on
// the position only and a chunk's stored unrotated keys can be placed anywhere by one rotation. Internal to
// common/model.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/model/config.h"

namespace cacheclip {

// fp32 [head_dim / 2] on the CPU.
at::Tensor InverseFrequencies(const ModelConfig& config);

// cos and sin of position × frequency.
struct RotationTable {
  at::Tensor cosine, sine;  // fp32 [num_tokens, 1, head_dim / 2]
};
RotationTable MakeRotationTable(const at::Tensor& inverse_frequencies,  // fp32 [head_dim / 2]
                                const at::Tensor& positions);           // int64 [num_tokens], same device

// Rotates halves (x1, x2) → (x1 cos − x2 sin, x2 cos + x1 sin); result has x's dtype and is contiguous.
at::Tensor Rotate(const at::Tensor& x,  // [num_tokens, num_heads, head_dim]
                  const RotationTable& table);

}  // namespace cacheclip
