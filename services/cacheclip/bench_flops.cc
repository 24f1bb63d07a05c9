#include <algorithm>

#include "services/cacheclip/bench.h"

namespace cacheclip {
namespace {

// QKᵀ and PV of `rows` rows that attend to `mean_keys` keys each, all layers.
double AttentionFlops(const PromptShape& shape, double rows, double mean_keys) {
  return 4.0 * shape.num_heads * shape.head_dim * shape.num_layers * rows * mean_keys;
}

double LinearFlops(const PromptShape& shape, double rows) { return 2.0 * shape.num_parameters * rows; }

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double FullPrefillFlops(const PromptShape& shape) {
  const double rows = shape.prefix_tokens + shape.context_tokens + shape.suffix_tokens;
  return LinearFlops(shape, rows) + AttentionFlops(shape, rows, rows / 2);
}

double SelectiveFlops(const PromptShape& shape) {
  const double before_suffix = shape.prefix_tokens + shape.context_tokens;
  const double recomputed = shape.recomputed_tokens, suffix = shape.suffix_tokens;
  return LinearFlops(shape, recomputed + suffix) +
         AttentionFlops(shape, recomputed, shape.prefix_tokens + shape.context_tokens / 2.0) +
         AttentionFlops(shape, suffix, before_suffix + suffix / 2);
}

}  // namespace cacheclip
