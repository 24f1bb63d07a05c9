// The weights of a model as tensors, laid out for the forward pass: q, k, v fused in one matrix, gate and up
// in another. Internal to common/model (includes libtorch). Immutable after loading; thread-safe.
#pragma once

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "common/model/config.h"
#include "common/model/language_model.h"
#include "common/model/rope.h"
#include "common/model/safetensors.h"

namespace cacheclip {

struct LayerTensors {
  at::Tensor input_norm;            // [hidden]
  at::Tensor qkv;                   // [(heads + 2 * kv_heads) * head_dim, hidden]
  at::Tensor qkv_bias;              // undefined, or [(heads + 2 * kv_heads) * head_dim]
  at::Tensor query_norm, key_norm;  // undefined, or [head_dim]
  at::Tensor output;                // [hidden, heads * head_dim]
  at::Tensor output_bias;           // undefined, or [hidden]
  at::Tensor post_norm;             // [hidden]
  at::Tensor gate_up;               // [2 * intermediate, hidden]: gate rows, then up rows
  at::Tensor down;                  // [hidden, intermediate]
};

struct ModelTensors {
  at::Tensor embedding;  // [vocab, hidden]
  std::vector<LayerTensors> layers;
  at::Tensor final_norm;  // [hidden]
  at::Tensor head;        // [vocab, hidden]; aliases embedding when tied
  std::shared_ptr<const RotationTables> rotations;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kBFloat16;
};

// Reads and converts the first `num_layers` layers. Errors name the tensor.
absl::StatusOr<ModelTensors> LoadModelTensors(const Checkpoint& checkpoint, const ModelConfig& config,
                                              int num_layers, at::ScalarType dtype, at::Device device);

}  // namespace cacheclip
