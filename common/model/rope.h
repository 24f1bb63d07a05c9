// Rotary position embedding (RoFormer; llama3 scaling as in the Llama 3.1 reference, linear scaling as in
// position interpolation). Angles and products are fp32 whatever the tensors' dtype, so a rotation depends on
// the position only and a chunk's stored unrotated keys can be placed anywhere by one rotation. Internal to
// common/model.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>

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

// The rotations of all positions of a model, worked out once and shared by its sessions: a request would
// otherwise spend on sines and cosines a good part of what it spends on placing a chunk. Grown to the highest
// position asked for, at least doubling. Thread-safe.
class RotationTables {
 public:
  explicit RotationTables(at::Tensor inverse_frequencies);  // fp32 [head_dim / 2], on the model's device

  // Of first_position, first_position + 1, …: views.
  RotationTable Of(int32_t first_position, int32_t num_tokens) const;
  RotationTable Of(std::span<const int32_t> positions) const;

 private:
  RotationTable UpTo(int64_t num_positions) const;

  const at::Tensor inverse_frequencies_;
  mutable std::mutex mutex_;
  mutable RotationTable all_;  // of 0, 1, …; tensors that were handed out stay as they are
};

// Rotates halves (x1, x2) → (x1 cos − x2 sin, x2 cos + x1 sin); result has x's dtype and is contiguous.
at::Tensor Rotate(const at::Tensor& x,  // [num_tokens, num_heads, head_dim]
                  const RotationTable& table);

}  // namespace cacheclip
