// How one layer's keys and values become int8: symmetric, value = element * scale, elements in -127…127. Keys
// have a scale per channel over the chunk's tokens (a few channels of unrotated keys are far larger than the
// rest, at every token), values one per token and kv head. The error of an element is at most half its scale.
// Deterministic: the same floats give the same bytes on every machine. Functions on spans; thread-safe.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "absl/status/status.h"

namespace cacheclip {

// What may stand for a scale: no element times it is infinite or NaN.
inline bool IsScale(float scale) { return scale >= 0 && std::isfinite(128 * scale); }

// `elements` is as large as `keys`: [num_tokens, scales.size()], scales [num_kv_heads * head_dim]. INTERNAL
// when a key is not finite (or within 1 % of the largest float): the model that made it is broken.
absl::Status QuantiseKeys(std::span<const float> keys, std::span<int8_t> elements, std::span<float> scales);

// [num_tokens * num_kv_heads, head_dim] with a scale per row. The same error.
absl::Status QuantiseValues(std::span<const float> values, std::span<int8_t> elements,
                            std::span<float> scales);

}  // namespace cacheclip
