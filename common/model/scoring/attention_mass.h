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
                           std::span<const int32_t> slots);

// Sums up attention mass over rows, heads and layers.
class MassCollector {
 public:
  // `band`: ResolveBand() of `heads`. Both must outlive the collector.
  MassCollector(const ScoringHeads& heads, LayerBand band) : heads_(heads), band_(band) {}

  bool Counts(int layer) const;  // Add() wants this layer

  // Pools over rows and heads as `heads` says.
  void Add(int layer,
           const at::Tensor& mass);  // [num_heads, num_rows, num_context_tokens], fp32

  // [num_context_tokens]: mean over layers of the band, or sum over the listed heads.
  std::vector<float> Total() const;

 private:
  const ScoringHeads& heads_;
  const LayerBand band_;
  at::Tensor total_;
};

// Every head of a layer apart: appends one entry per head, its mean over rows.
void AppendHeadScores(int layer, const at::Tensor& mass, std::vector<HeadScores>& scores);

std::vector<float> ToVector(const at::Tensor& tensor);  // fp32, 1-d

}  // namespace cacheclip
