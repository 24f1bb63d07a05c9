// The slow, obvious model: one prompt through a decoder in plain loops over doubles, written from the
// definitions and sharing nothing with the fast path but the checkpoint and the configuration. It exists to
// be right: the oracle that forward_pass.cc is tested against, and the place to look up what a layer
// computes. No KV cache, no threads, no libtorch; cost grows with the square of the number of ids, so it is
// for tiny models and prompts of at most kMaxReferenceTokens.
//
//   CACHECLIP_ASSIGN_OR_RETURN(auto logits, ReferenceLogits(checkpoint, config, ids));
//   logits.back()  // predicts the token behind the last id
//
// Thread-safe: functions only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/config.h"
#include "common/model/safetensors.h"

namespace cacheclip {

inline constexpr int64_t kMaxReferenceTokens = 1024;

// Angle per position of each pair of components: [head_dim / 2].
std::vector<double> ReferenceFrequencies(const ModelConfig& config);

// One row per id, each [vocab_size]: `ids` at positions 0, 1, …, every token attending to itself and those
// before it. Errors: NOT_FOUND or DATA_LOSS naming the tensor; INVALID_ARGUMENT for an id outside the
// vocabulary; RESOURCE_EXHAUSTED above kMaxReferenceTokens.
absl::StatusOr<std::vector<std::vector<float>>> ReferenceLogits(const Checkpoint& checkpoint,
                                                                const ModelConfig& config,
                                                                std::span<const int32_t> ids);

}  // namespace cacheclip
