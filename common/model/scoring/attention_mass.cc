#include "common/model/scoring/attention_mass.h"

#include <algorithm>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>

namespace cacheclip {

at::Tensor AttentionLogits(const KvCache& cache, int layer, const at::Tensor& queries,
                           std::span<const int32_t> slots) {
  const int32_t num_slots = slots.back() + 1;
  at::Tensor logits = cache.Logits(layer, queries, num_slots);
  // Nothing is hidden before the first row.
  const int32_t first = slots.front();
  const std::vector<int64_t> limits(slots.begin(), slots.end());
  const at::Tensor limit = at::tensor(at::ArrayRef<int64_t>(limits)).to(logits.device()).view({-1, 1});
  const at::Tensor hidden = at::arange(first, num_slots, limit.options()).view({1, -1}) > limit;
  logits.slice(2, first).masked_fill_(hidden.unsqueeze(0), -std::numeric_limits<float>::infinity());
  return logits;
}

namespace {

// [num_rows, num_tokens] -> [num_tokens].
at::Tensor PoolRows(const at::Tensor& mass, RowPooling pooling) {
  if (pooling == RowPooling::kMean) return mass.mean(0);
  if (pooling == RowPooling::kMax) return mass.amax(0);
  const at::Tensor weights = at::arange(1, mass.size(0) + 1, mass.options());
  return at::matmul(weights / weights.sum(), mass);
}

}  // namespace

bool MassCollector::Counts(int layer) const {
  if (layer < band_.begin || layer >= band_.end) return false;
  return heads_.heads.empty() ||
         std::ranges::any_of(heads_.heads, [layer](const HeadId& id) { return id.layer == layer; });
}

void MassCollector::Add(int layer, const at::Tensor& mass) {
  at::Tensor chosen = mass;
  double weight = 1.0 / (band_.end - band_.begin);
  if (!heads_.heads.empty()) {
    std::vector<int64_t> listed;
    for (const HeadId& id : heads_.heads)
      if (id.layer == layer) listed.push_back(id.head);
    chosen = mass.index_select(0, at::tensor(at::ArrayRef<int64_t>(listed)).to(mass.device()));
    weight = static_cast<double>(listed.size());
  }
  const at::Tensor pooled = heads_.pooling == HeadPooling::kMean ? chosen.mean(0) : chosen.amax(0);
  const at::Tensor scores = PoolRows(pooled, heads_.rows) * weight;
  total_ = total_.defined() ? total_ + scores : scores;
}

std::vector<float> MassCollector::Total() const { return ToVector(total_); }

void AppendHeadScores(int layer, const at::Tensor& mass, std::vector<HeadScores>& scores) {
  const at::Tensor by_head = mass.mean(1);
  for (int64_t head = 0; head < by_head.size(0); ++head)
    scores.push_back({{layer, static_cast<int>(head)}, ToVector(by_head.select(0, head))});
}

std::vector<float> ToVector(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kFloat).cpu().contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

}  // namespace cacheclip
