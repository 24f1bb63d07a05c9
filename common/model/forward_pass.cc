#include "common/model/forward_pass.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/model/elementwise.h"
#include "common/model/index_tensor.h"

namespace cacheclip {

ForwardPass::ForwardPass(const ModelTensors& tensors, const ModelConfig& config, KvCache& cache, Rows rows)
    : tensors_(tensors),
      config_(config),
      cache_(cache),
      rows_(std::move(rows)),
      rotation_(tensors.rotations->Of(rows_.positions)),
      hidden_(tensors.Embed(IndexTensor(rows_.ids, tensors.device))) {}

Projections ForwardPass::Project(const LayerTensors& layer) const {
  const int64_t rows = rows_.size(), dim = config_.head_dim;
  const int64_t query_columns = config_.num_heads * dim, kv_columns = config_.num_kv_heads * dim;
  const at::Tensor normed = RmsNorm(hidden_, layer.input_norm, config_.rms_norm_epsilon);
  const at::Tensor qkv = layer.qkv.Apply(normed);
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
  layer.output.AddTo(hidden_, context);
  layer.down.AddTo(hidden_,
                   layer.gate_up.ApplyGated(RmsNorm(hidden_, layer.post_norm, config_.rms_norm_epsilon)));
}

void ForwardPass::LeaveOutFar(const LocalHeads& local, int32_t num_rows) {
  local_heads_.assign(tensors_.layers.size(), {});
  for (const HeadId& id : local.heads) {
    if (id.layer >= static_cast<int>(local_heads_.size())) continue;  // of a layer that is not loaded
    std::vector<uint8_t>& heads = local_heads_[static_cast<size_t>(id.layer)];
    heads.resize(static_cast<size_t>(config_.num_kv_heads));
    heads[static_cast<size_t>(id.head)] = 1;
  }
  first_slots_.assign(rows_.slots.size(), 0);
  for (size_t i = 0; i < static_cast<size_t>(num_rows); ++i)
    first_slots_[i] = std::max(0, rows_.slots[i] + 1 - local.window) / kLocalBlock * kLocalBlock;
}

LocalRows ForwardPass::Local(int layer) const {
  if (local_heads_.empty() || local_heads_[static_cast<size_t>(layer)].empty()) return {};
  return {.heads = local_heads_[static_cast<size_t>(layer)].data(), .first_slots = first_slots_.data()};
}

absl::Status ForwardPass::RunLayers(int begin, int end, int32_t num_left, const ForwardHooks& hooks) {
  const int32_t num_ending = rows_.size() - num_left;
  for (int index = begin; index < end; ++index) {
    Projections projections;
    CACHECLIP_RETURN_IF_ERROR(ProjectAndStore(index, hooks, projections));
    if (index == end - 1) {
      DropFirstRows(num_ending);
      projections.queries = projections.queries.slice(0, num_ending);
    }
    Finish(tensors_.layers[static_cast<size_t>(index)],
           cache_.Attend(index, projections.queries, rows_.slots, Local(index), int8_scores_));
  }
  if (begin == end) DropFirstRows(num_ending);
  return absl::OkStatus();
}

void ForwardPass::DropFirstRows(int32_t num_rows) {
  rows_.DropFirst(num_rows);
  if (!first_slots_.empty()) first_slots_.erase(first_slots_.begin(), first_slots_.begin() + num_rows);
  hidden_ = hidden_.slice(0, num_rows);
  rotation_ = {rotation_.cosine.slice(0, num_rows), rotation_.sine.slice(0, num_rows)};
}

absl::Status ForwardPass::RunToProjections(int last, const ForwardHooks& hooks) {
  CACHECLIP_RETURN_IF_ERROR(RunLayers(0, last, /*num_left=*/rows_.size(), hooks));
  Projections projections;
  return ProjectAndStore(last, hooks, projections);
}

at::Tensor ForwardPass::Logits() const {
  return tensors_.head.ApplyWide(RmsNorm(hidden_, tensors_.final_norm, config_.rms_norm_epsilon));
}

}  // namespace cacheclip
