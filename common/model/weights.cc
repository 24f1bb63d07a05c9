#include "common/model/weights.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/model/rope.h"

namespace cacheclip {
namespace {

at::ScalarType ScalarTypeOf(TensorDtype dtype) {
  switch (dtype) {
    case TensorDtype::kFloat32:
      return at::kFloat;
    case TensorDtype::kBfloat16:
      return at::kBFloat16;
    case TensorDtype::kFloat16:
      return at::kHalf;
  }
  return at::kFloat;
}

// Reads tensors by name, converted and checked against the shape the configuration implies.
class Reader {
 public:
  Reader(const Checkpoint& checkpoint, at::ScalarType dtype, at::Device device)
      : checkpoint_(checkpoint), dtype_(dtype), device_(device) {}

  absl::StatusOr<at::Tensor> Read(const std::string& name, std::vector<int64_t> shape) const {
    CACHECLIP_ASSIGN_OR_RETURN(const TensorView view, checkpoint_.Find(name));
    if (view.shape != shape)
      return absl::DataLossError(absl::StrCat("tensor ", name, " has shape [",
                                              absl::StrJoin(view.shape, ", "), "], config.json implies [",
                                              absl::StrJoin(shape, ", "), "]"));
    // from_blob needs a mutable pointer; the copy below is what is kept.
    const at::Tensor mapped = at::from_blob(const_cast<std::byte*>(view.bytes.data()), shape,
                                            at::TensorOptions().dtype(ScalarTypeOf(view.dtype)));
    return mapped.to(at::TensorOptions().dtype(dtype_).device(device_), /*non_blocking=*/false,
                     /*copy=*/true);
  }

  absl::StatusOr<at::Tensor> ReadRows(const std::vector<std::string>& names, const std::vector<int64_t>& rows,
                                      int64_t columns) const {  // columns 0: vectors
    std::vector<at::Tensor> parts;
    for (size_t i = 0; i < names.size(); ++i) {
      std::vector<int64_t> shape = {rows[i]};
      if (columns > 0) shape.push_back(columns);
      CACHECLIP_ASSIGN_OR_RETURN(at::Tensor part, Read(names[i], shape));
      parts.push_back(std::move(part));
    }
    return at::cat(parts, 0);
  }

 private:
  const Checkpoint& checkpoint_;
  at::ScalarType dtype_;
  at::Device device_;
};

absl::StatusOr<LayerTensors> ReadLayer(const Reader& reader, const ModelConfig& config, int index) {
  const std::string layer = absl::StrCat("model.layers.", index, ".");
  const std::string attention = layer + "self_attn.";
  const int64_t query_rows = config.num_heads * config.head_dim,
                kv_rows = config.num_kv_heads * config.head_dim;
  const int64_t hidden = config.hidden_size;
  LayerTensors result;
  CACHECLIP_ASSIGN_OR_RETURN(result.input_norm, reader.Read(layer + "input_layernorm.weight", {hidden}));
  CACHECLIP_ASSIGN_OR_RETURN(result.post_norm,
                             reader.Read(layer + "post_attention_layernorm.weight", {hidden}));
  CACHECLIP_ASSIGN_OR_RETURN(
      result.qkv,
      reader.ReadRows({attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"},
                      {query_rows, kv_rows, kv_rows}, hidden));
  if (config.attention_bias) {
    CACHECLIP_ASSIGN_OR_RETURN(
        result.qkv_bias,
        reader.ReadRows({attention + "q_proj.bias", attention + "k_proj.bias", attention + "v_proj.bias"},
                        {query_rows, kv_rows, kv_rows}, 0));
  }
  if (config.query_key_norm) {
    CACHECLIP_ASSIGN_OR_RETURN(result.query_norm,
                               reader.Read(attention + "q_norm.weight", {config.head_dim}));
    CACHECLIP_ASSIGN_OR_RETURN(result.key_norm, reader.Read(attention + "k_norm.weight", {config.head_dim}));
  }
  CACHECLIP_ASSIGN_OR_RETURN(result.output, reader.Read(attention + "o_proj.weight", {hidden, query_rows}));
  if (config.output_bias) {
    CACHECLIP_ASSIGN_OR_RETURN(result.output_bias, reader.Read(attention + "o_proj.bias", {hidden}));
  }
  CACHECLIP_ASSIGN_OR_RETURN(result.gate_up,
                             reader.ReadRows({layer + "mlp.gate_proj.weight", layer + "mlp.up_proj.weight"},
                                             {config.intermediate_size, config.intermediate_size}, hidden));
  CACHECLIP_ASSIGN_OR_RETURN(result.down,
                             reader.Read(layer + "mlp.down_proj.weight", {hidden, config.intermediate_size}));
  return result;
}

}  // namespace

absl::StatusOr<ModelTensors> LoadModelTensors(const Checkpoint& checkpoint, const ModelConfig& config,
                                              int num_layers, at::ScalarType dtype, at::Device device) {
  const Reader reader(checkpoint, dtype, device);
  ModelTensors tensors;
  tensors.device = device;
  tensors.dtype = dtype;
  CACHECLIP_ASSIGN_OR_RETURN(
      tensors.embedding, reader.Read("model.embed_tokens.weight", {config.vocab_size, config.hidden_size}));
  for (int i = 0; i < num_layers; ++i) {
    CACHECLIP_ASSIGN_OR_RETURN(LayerTensors layer, ReadLayer(reader, config, i));
    tensors.layers.push_back(std::move(layer));
  }
  CACHECLIP_ASSIGN_OR_RETURN(tensors.final_norm, reader.Read("model.norm.weight", {config.hidden_size}));
  if (config.tied_head) {
    tensors.head = tensors.embedding;
  } else {
    CACHECLIP_ASSIGN_OR_RETURN(tensors.head,
                               reader.Read("lm_head.weight", {config.vocab_size, config.hidden_size}));
  }
  tensors.rotations = std::make_shared<RotationTables>(InverseFrequencies(config).to(device));
  return tensors;
}

}  // namespace cacheclip
