#include "common/model/weights.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
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

// Reads tensors by name, checked against the shape the configuration implies.
class Reader {
 public:
  Reader(const Checkpoint& checkpoint, const WeightOptions& options)
      : checkpoint_(checkpoint), options_(options) {}

  const WeightOptions& options() const { return options_; }

  // A view of the file, which must not outlive the checkpoint.
  absl::StatusOr<at::Tensor> View(const std::string& name, std::vector<int64_t> shape) const {
    CACHECLIP_ASSIGN_OR_RETURN(const TensorView view, checkpoint_.Find(name));
    if (view.shape != shape)
      return absl::DataLossError(absl::StrCat("tensor ", name, " has shape [",
                                              absl::StrJoin(view.shape, ", "), "], config.json implies [",
                                              absl::StrJoin(shape, ", "), "]"));
    // from_blob needs a mutable pointer; nobody writes.
    return at::from_blob(const_cast<std::byte*>(view.bytes.data()), shape,
                         at::TensorOptions().dtype(ScalarTypeOf(view.dtype)));
  }

  absl::StatusOr<at::Tensor> Vector(const std::string& name, int64_t size) const {
    CACHECLIP_ASSIGN_OR_RETURN(const at::Tensor view, View(name, {size}));
    return view.to(at::TensorOptions().dtype(options_.dtype).device(options_.device), /*non_blocking=*/false,
                   /*copy=*/true);
  }

  // Matrices stacked, their biases too if `has_bias`.
  absl::StatusOr<LinearWeights> Linear(const std::vector<std::string>& names,
                                       const std::vector<int64_t>& rows, int64_t columns,
                                       bool has_bias) const {
    std::vector<at::Tensor> weights, biases;
    for (size_t i = 0; i < names.size(); ++i) {
      CACHECLIP_ASSIGN_OR_RETURN(weights.emplace_back(), View(names[i] + ".weight", {rows[i], columns}));
      if (!has_bias) continue;
      CACHECLIP_ASSIGN_OR_RETURN(biases.emplace_back(), View(names[i] + ".bias", {rows[i]}));
    }
    return LinearWeights(weights.size() == 1 ? weights[0] : at::cat(weights, 0),
                         has_bias ? at::cat(biases, 0) : at::Tensor(), options_);
  }

 private:
  const Checkpoint& checkpoint_;
  const WeightOptions options_;
};

absl::StatusOr<LayerTensors> ReadLayer(const Reader& reader, const ModelConfig& config, int index) {
  const std::string layer = absl::StrCat("model.layers.", index, ".");
  const std::string attention = layer + "self_attn.", mlp = layer + "mlp.";
  const int64_t query_rows = config.num_heads * config.head_dim,
                kv_rows = config.num_kv_heads * config.head_dim;
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  LayerTensors result;
  CACHECLIP_ASSIGN_OR_RETURN(result.input_norm, reader.Vector(layer + "input_layernorm.weight", hidden));
  CACHECLIP_ASSIGN_OR_RETURN(result.post_norm,
                             reader.Vector(layer + "post_attention_layernorm.weight", hidden));
  CACHECLIP_ASSIGN_OR_RETURN(result.qkv,
                             reader.Linear({attention + "q_proj", attention + "k_proj", attention + "v_proj"},
                                           {query_rows, kv_rows, kv_rows}, hidden, config.attention_bias));
  if (config.query_key_norm) {
    CACHECLIP_ASSIGN_OR_RETURN(result.query_norm,
                               reader.Vector(attention + "q_norm.weight", config.head_dim));
    CACHECLIP_ASSIGN_OR_RETURN(result.key_norm, reader.Vector(attention + "k_norm.weight", config.head_dim));
  }
  CACHECLIP_ASSIGN_OR_RETURN(result.output,
                             reader.Linear({attention + "o_proj"}, {hidden}, query_rows, config.output_bias));
  CACHECLIP_ASSIGN_OR_RETURN(const at::Tensor gate, reader.View(mlp + "gate_proj.weight", {inner, hidden}));
  CACHECLIP_ASSIGN_OR_RETURN(const at::Tensor up, reader.View(mlp + "up_proj.weight", {inner, hidden}));
  result.gate_up = LinearWeights::Gated(gate, up, reader.options());
  CACHECLIP_ASSIGN_OR_RETURN(result.down, reader.Linear({mlp + "down_proj"}, {hidden}, inner, false));
  return result;
}

}  // namespace

at::Tensor ModelTensors::Embed(const at::Tensor& ids) const {
  return embedding.defined() ? at::embedding(embedding, ids).to(dtype) : head.Rows(ids);
}

absl::StatusOr<ModelTensors> LoadModelTensors(const Checkpoint& checkpoint, const ModelConfig& config,
                                              int num_layers, WeightOptions options) {
  WeightArena arena;
  options.arena = &arena;
  const Reader reader(checkpoint, options);
  const int64_t vocabulary = config.vocab_size, hidden = config.hidden_size;
  ModelTensors tensors;
  tensors.device = options.device;
  tensors.dtype = options.dtype;
  tensors.rounding = options.rounding;
  if (!config.tied_head) {
    CACHECLIP_ASSIGN_OR_RETURN(const at::Tensor view,
                               reader.View("model.embed_tokens.weight", {vocabulary, hidden}));
    tensors.embedding = view.to(options.device, view.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
  }
  for (int i = 0; i < num_layers; ++i) {
    CACHECLIP_ASSIGN_OR_RETURN(LayerTensors layer, ReadLayer(reader, config, i));
    tensors.layers.push_back(std::move(layer));
  }
  CACHECLIP_ASSIGN_OR_RETURN(tensors.final_norm, reader.Vector("model.norm.weight", hidden));
  CACHECLIP_ASSIGN_OR_RETURN(
      tensors.head,
      reader.Linear({config.tied_head ? "model.embed_tokens" : "lm_head"}, {vocabulary}, hidden, false));
  tensors.rotations = std::make_shared<RotationTables>(InverseFrequencies(config).to(options.device));
  return tensors;
}

}  // namespace cacheclip
