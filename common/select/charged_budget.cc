#include "common/select/charged_budget.h"

#include <numeric>

namespace cacheclip {

double ChargedBudget::ratio() const {
  return reusable_layer_tokens == 0 ? 0.0 : static_cast<double>(fresh_layer_tokens) / reusable_layer_tokens;
}

ChargedBudget ChargePerLayer(std::span<const int64_t> fresh_tokens_per_layer, int64_t num_chunk_tokens) {
  return {std::accumulate(fresh_tokens_per_layer.begin(), fresh_tokens_per_layer.end(), int64_t{0}),
          static_cast<int64_t>(fresh_tokens_per_layer.size()) * num_chunk_tokens};
}

}  // namespace cacheclip
