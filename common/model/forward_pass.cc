#include "common/model/forward_pass.h"

#include <utility>

#include <ATen/Parallel.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include "common/base/status.h"
#include "common/model/elementwise.h"
#include "common/model/index_tensor.h"
#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/isa.h"

namespace cacheclip {
namespace {

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
}

}  // namespace

ForwardPass::ForwardPass(const ModelTensors& tensors, const ModelConfig& config, KvCache& cache, Rows rows)
    : tensors_(tensors),
      config_(config),
      cache_(cache),
      rows_(std::move(rows)),
      rotation_(tensors.rotations->Of(rows_.positions)),
      hidden_(at::embedding(tensors.embedding, IndexTensor(rows_.ids, tensors.device))) {}

Projections ForwardPass::Project(const LayerTensors& layer) const {
  const int64_t rows = rows_.size(), dim = config_.head_dim;
  const int64_t query_columns = config_.num_heads * dim, kv_columns = config_.num_kv_heads * dim;
  const at::Tensor normed = RmsNorm(hidden_, layer.input_norm, config_.rms_norm_epsilon);
  const at::Tensor qkv = Linear(normed, layer.qkv, layer.qkv_bias);
  at::Tensor queries = qkv.slice(1, 0, query_columns).view({rows, config_.num_heads, dim});
  at::Tensor keys =
      qkv.slice(1, query_columns, query_columns + kv_columns).view({rows, config_.num_kv_heads, dim});
  const at::Tensor values = qkv.slice(1, query_columns + kv_columns).view({rows, config_.num_kv_heads, dim});
  if (config_.query_key_norm) {
    queries = RmsNorm(queries, layer.query_norm, config_.rms_norm_epsilon);
    keys = RmsNorm(keys, layer.key_norm, config_.rms_norm_epsilon);
  }
  return {.unrotated_keys = keys,
          .queries = RotateHeads(queries, rotation_),
          .keys = RotateHeads(keys, rotation_),
          .values = values.contiguous()};
}

absl::Status ForwardPass::ProjectAndStore(int index, const ForwardHooks& hooks, Projections& projections) {
  CACHECLIP_RETURN_IF_ERROR(hooks.cancellation.Check());
  if (hooks.before_layer) CACHECLIP_RETURN_IF_ERROR(hooks.before_layer(index));
  projections = Project(tensors_.layers[static_cast<size_t>(index)]);
  if (hooks.before_store) CACHECLIP_RETURN_IF_ERROR(hooks.before_store(index, projections));
  cache_.Store(index, projections.keys, projections.values, rows_.slots);
  if (hooks.after_store) CACHECLIP_RETURN_IF_ERROR(hooks.after_store(index, projections));
  return absl::OkStatus();
}

void ForwardPass::Finish(const LayerTensors& layer, const at::Tensor& context) {
  AddInPlace(hidden_, Linear(context, layer.output, layer.output_bias));
  const at::Tensor normed = RmsNorm(hidden_, layer.post_norm, config_.rms_norm_epsilon);
  AddInPlace(hidden_, at::linear(SwiGlu(at::linear(normed, layer.gate_up)), layer.down));
}

absl::Status ForwardPass::RunLayers(int begin, int end, const ForwardHooks& hooks) {
  for (int index = begin; index < end; ++index) {
    Projections projections;
    CACHECLIP_RETURN_IF_ERROR(ProjectAndStore(index, hooks, projections));
    Finish(tensors_.layers[static_cast<size_t>(index)],
           cache_.Attend(index, projections.queries, rows_.slots));
  }
  return absl::OkStatus();
}

void ForwardPass::DropFirstRows(int32_t num_rows) {
  rows_.DropFirst(num_rows);
  hidden_ = hidden_.slice(0, num_rows);
  rotation_ = {rotation_.cosine.slice(0, num_rows), rotation_.sine.slice(0, num_rows)};
}

absl::Status ForwardPass::RunToProjections(int last, const ForwardHooks& hooks) {
  CACHECLIP_RETURN_IF_ERROR(RunLayers(0, last, hooks));
  Projections projections;
  return ProjectAndStore(last, hooks, projections);
}

at::Tensor ForwardPass::Logits(int32_t first_row) const {
  const at::Tensor normed =
      RmsNorm(hidden_.slice(0, first_row), tensors_.final_norm, config_.rms_norm_epsilon).contiguous();
  const bool few_rows_in_bf16 = tensors_.device.is_cpu() && tensors_.dtype == at::kBFloat16 &&
                                ActiveIsa() == Isa::kAvx512Bf16 && normed.size(0) <= 4;
  if (!few_rows_in_bf16) return at::linear(normed, tensors_.head).to(at::kFloat);
  // bf16 logits near 20 are 0.125 apart: for the rows that choose a token the product stays fp32.
  const at::Tensor wide = normed.to(at::kFloat);
  at::Tensor logits = at::empty({normed.size(0), config_.vocab_size}, wide.options());
  for (int64_t row = 0; row < normed.size(0); ++row)
    avx512::MatVec(static_cast<const avx512::Bf16*>(tensors_.head.const_data_ptr()),
                   wide.const_data_ptr<float>() + row * config_.hidden_size,
                   logits.mutable_data_ptr<float>() + row * config_.vocab_size, config_.vocab_size,
                   config_.hidden_size, at::get_num_threads());
  return logits;
}

}  // namespace cacheclip
