// How many bytes of a tier each quota group (a namespace) may hold. A group over its quota loses its own
// oldest chunks; chunks put without a group are bounded by the tier alone. Values only; thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>

namespace cacheclip {

struct GroupQuotas {
  static constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

  std::map<std::string, int64_t, std::less<>> max_bytes;  // by group
  int64_t default_max_bytes = kUnlimited;                 // of a group not named there

  int64_t Of(std::string_view group) const {
    if (group.empty()) return kUnlimited;
    const auto it = max_bytes.find(group);
    return it == max_bytes.end() ? default_max_bytes : it->second;
  }
};

// Background eviction begins when a tier holds more than `high` of its bytes and ends at `low`. 1.0 = never:
// only a Put() that finds no room evicts.
struct Watermarks {
  double high = 1.0, low = 1.0;

  bool IsAbove(int64_t bytes, int64_t max_bytes) const {
    return low < 1.0 && static_cast<double>(bytes) > high * static_cast<double>(max_bytes);
  }
  int64_t LowBytes(int64_t max_bytes) const {
    return static_cast<int64_t>(low * static_cast<double>(max_bytes));
  }
};

}  // namespace cacheclip
