#include "common/kv/int8_quantiser.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"

namespace cacheclip {
namespace {

constexpr float kLargestElement = 127;

// Adding and taking away 1.5 * 2^23 rounds to the nearest integer, ties to even, in any vector unit.
constexpr float kRoundingShift = 12582912;

// A scale so small that it underflows would leave quotients beyond 127, hence the clamp.
inline int8_t Quantise(float value, float scale) {
  if (scale == 0) return 0;
  const float clamped = std::clamp(value / scale, -kLargestElement, kLargestElement);
  return static_cast<int8_t>((clamped + kRoundingShift) - kRoundingShift);
}

// Magnitudes compare as their bits do, and there NaN is the largest: one bad value is never forgotten.
inline float Larger(float magnitude, float value) {
  return std::bit_cast<float>(
      std::max(std::bit_cast<uint32_t>(magnitude), std::bit_cast<uint32_t>(std::fabs(value))));
}

absl::Status NotFinite(const char* what) {
  return absl::InternalError(
      absl::StrCat("a computed ", what, " is not finite and cannot be stored as int8; the model is broken"));
}

}  // namespace

absl::Status QuantiseKeys(std::span<const float> keys, std::span<int8_t> elements, std::span<float> scales) {
  const size_t channels = scales.size();
  CACHECLIP_CHECK(channels > 0 && keys.size() % channels == 0 && elements.size() == keys.size());
  std::ranges::fill(scales, 0.0f);
  for (size_t row = 0; row < keys.size(); row += channels)
    for (size_t i = 0; i < channels; ++i) scales[i] = Larger(scales[i], keys[row + i]);
  for (float& scale : scales) scale /= kLargestElement;
  if (!std::ranges::all_of(scales, IsScale)) return NotFinite("key");
  for (size_t row = 0; row < keys.size(); row += channels)
    for (size_t i = 0; i < channels; ++i) elements[row + i] = Quantise(keys[row + i], scales[i]);
  return absl::OkStatus();
}

absl::Status QuantiseValues(std::span<const float> values, std::span<int8_t> elements,
                            std::span<float> scales) {
  CACHECLIP_CHECK(!scales.empty() && values.size() % scales.size() == 0 && elements.size() == values.size());
  const size_t width = values.size() / scales.size();
  for (size_t row = 0; row < scales.size(); ++row) {
    const auto own = values.subspan(row * width, width);
    float magnitude = 0;
    for (const float value : own) magnitude = Larger(magnitude, value);
    scales[row] = magnitude / kLargestElement;
    if (!IsScale(scales[row])) return NotFinite("value");
    for (size_t i = 0; i < width; ++i) elements[row * width + i] = Quantise(own[i], scales[row]);
  }
  return absl::OkStatus();
}

}  // namespace cacheclip
