// Attention mass of a pass's rows on the cache's slots, collected layer by layer. Internal to
// common/model/scoring.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "common/model/kv_cache.h"
#include "common/model/scoring/scoring.h"

namespace cacheclip {

// Unnormalised logits: fp32 [num_heads, num_rows, end_slot]; −∞ beyond each row's own slot. Scaled by
// 1/√head_dim.
at::Tensor AttentionLogits(const KvCache& cache, int layer,
                           const at::Tensor& queries,  // [num_rows, num_heads, head_dim], rotated
                           std::span<const int32_t> slots, int64_t num_kv_heads);

// The listed heads that belong to `layer`, for PoolHeads().
std::vector<int64_t> HeadsOfLayer(const std::vector<HeadId>& heads, int layer);

// Pools [num_heads, num_rows, n] over `heads` (empty: all) by mean or max, then takes the mean over rows:
// [n].
at::Tensor PoolHeads(const at::Tensor& mass, const std::vector<int64_t>& heads, HeadPooling pooling);

std::vector<float> ToVector(const at::Tensor& tensor);  // fp32, 1-d

}  // namespace cacheclip
