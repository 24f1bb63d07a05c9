// Single numbers of bf16. Included by kernel files alone: internal to each, whatever its compile flags.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace cacheclip::fp32 {
namespace {

inline uint16_t RoundToBf16(float x) {  // to nearest even
  if (std::isnan(x)) return 0x7fc0;
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float FromBf16(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

}  // namespace
}  // namespace cacheclip::fp32
