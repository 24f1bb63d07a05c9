// The weights of a model as tensors, laid out for the forward pass: q, k, v fused in one matrix, gate and up
// in another. Internal to common/model (includes libtorch). Immutable after loading; thread-safe.
#pragma once

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "common/model/config.h"
#include "common/model/linear_weights.h"
#include "common/model/rope.h"
#include "common/model/safetensors.h"

namespace cacheclip {

struct LayerTensors {
  at::Tensor input_norm;            // [hidden]
  LinearWeights qkv;                // hidden -> (heads + 2 * kv_heads) * head_dim
  at::Tensor query_norm, key_norm;  // undefined, or [head_dim]
  LinearWeights output;             // heads * head_dim -> hidden
  at::Tensor post_norm;             // [hidden]
  LinearWeights gate_up;            // hidden -> intermediate, gated
  LinearWeights down;               // intermediate -> hidden
};

struct ModelTensors {
  at::Tensor embedding;  // [vocab, hidden], as stored on disk; undefined when the head is tied to it
  std::vector<LayerTensors> layers;
  at::Tensor final_norm;  // [hidden]
  LinearWeights head;     // hidden -> vocab
  std::shared_ptr<const RotationTables> rotations;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kBFloat16;
  WeightRounding rounding = WeightRounding::kNone;

  at::Tensor Embed(const at::Tensor& ids) const;  // int64 [n] -> [n, hidden] in `dtype`
};

// Reads and converts the first `num_layers` layers. Errors name the tensor.
absl::StatusOr<ModelTensors> LoadModelTensors(const Checkpoint& checkpoint, const ModelConfig& config,
                                              int num_layers, WeightOptions options);

}  // namespace cacheclip
