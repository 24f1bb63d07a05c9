// What a method really spent: fresh (layers x tokens) / (layers x all chunk tokens), first chunk included,
// prefix and suffix excluded. A layer that runs in full is charged in full. Reported beside the asked budget
// in every usage record. Plain values, thread-safe.
#pragma once

#include <cstdint>
#include <span>

namespace cacheclip {

struct ChargedBudget {
  int64_t fresh_layer_tokens = 0;     // chunk tokens computed anew, summed over layers
  int64_t reusable_layer_tokens = 0;  // chunk tokens of the request x layers

  double ratio() const;  // 0 for a request without chunks
};

// `fresh_tokens_per_layer`: [num_layers].
ChargedBudget ChargePerLayer(std::span<const int64_t> fresh_tokens_per_layer, int64_t num_chunk_tokens);

}  // namespace cacheclip
