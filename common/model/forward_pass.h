// One pass of rows through the model over a session's cache, layer by layer: norm; q, k, v; rotate; write k,
// v to the cache; attend to all slots up to each row's own; output; MLP (method.md §5). Full prefill,
// encoding, the fused recompute-and-question pass, probes and decode are all this pass with other rows.
//
//   ForwardPass pass(model.tensors(), model.config(), cache, rows);
//   CACHECLIP_RETURN_IF_ERROR(pass.RunLayers(0, model.num_layers(), /*num_left=*/1, hooks));
//   at::Tensor logits = pass.Logits();  // of the last row
//
// Internal to common/model. One thread; refers to its arguments but the rows, which must outlive it.
#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "common/base/cancellation.h"
#include "common/model/attention_heads.h"
#include "common/model/kv_cache.h"
#include "common/model/prompt_tokens.h"
#include "common/model/weights.h"

namespace cacheclip {

// What one layer computed for the rows, all [num_rows, heads, head_dim] in the compute dtype.
struct Projections {
  at::Tensor unrotated_keys;  // after bias and q/k norm, before RoPE: what is stored
  at::Tensor queries, keys;   // rotated
  at::Tensor values;
};

struct ForwardHooks {
  std::function<absl::Status(int layer)> before_layer;
  std::function<absl::Status(int layer, const Projections&)> before_store;  // the cache still holds stale KV
  std::function<absl::Status(int layer, const Projections&)> after_store;  // the cache holds the rows' own KV
  CancellationToken cancellation;                                          // checked at each layer
};

class ForwardPass {
 public:
  ForwardPass(const ModelTensors& tensors, const ModelConfig& config, KvCache& cache, Rows rows);

  // From now on the first `num_rows` rows leave out, in the local heads, what stands far from them.
  void LeaveOutFar(const LocalHeads& local, int32_t num_rows);

  // From now on queries and keys may be multiplied in int8 (KvCache::Attend()).
  void RoundScores() { int8_scores_ = true; }

  // Layers begin … end - 1. All rows but the last `num_left`, 1 at least, end with what they store in the
  // last of these: the attention and MLP behind it would make an output that nobody reads (docs/adr/0023).
  absl::Status RunLayers(int begin, int end, int32_t num_left, const ForwardHooks& hooks);

  // Runs the layers before `last`, and of `last` only projections and store: all rows end there. For probes
  // and encoding.
  absl::Status RunToProjections(int last, const ForwardHooks& hooks);

  // fp32 [rows left, vocab_size]; after all layers.
  at::Tensor Logits() const;

 private:
  Projections Project(const LayerTensors& layer) const;
  absl::Status ProjectAndStore(int layer, const ForwardHooks& hooks, Projections& projections);
  void DropFirstRows(int32_t num_rows);  // they go no further
  LocalRows Local(int layer) const;
  void Finish(const LayerTensors& layer,
              const at::Tensor& context);  // output projection and MLP, residuals added

  const ModelTensors& tensors_;
  const ModelConfig& config_;
  KvCache& cache_;
  Rows rows_;
  RotationTable rotation_;
  std::vector<std::vector<uint8_t>>
      local_heads_;                   // by layer, LocalRows::heads; of a layer without any: empty
  std::vector<int32_t> first_slots_;  // [num_rows], LocalRows::first_slots
  bool int8_scores_ = false;
  at::Tensor hidden_;  // residual stream [num_rows, hidden]
};

}  // namespace cacheclip
