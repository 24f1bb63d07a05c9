#include "common/redis/slot_map.h"

#include <algorithm>

#include "absl/status/status.h"

namespace cacheclip {
namespace {

absl::Status Malformed() { return absl::InternalError("CLUSTER SLOTS answered in an unknown shape"); }

bool IsSlot(const RedisReply& reply) {
  return reply.is_integer() && reply.integer >= 0 && reply.integer < kNumRedisSlots;
}

}  // namespace

absl::StatusOr<SlotMap> SlotMap::FromClusterSlots(const RedisReply& reply, const RedisEndpoint& asked) {
  if (!reply.is_array()) return Malformed();
  SlotMap map;
  for (const RedisReply& range : reply.elements) {
    if (!range.is_array() || range.elements.size() < 3 || !IsSlot(range.elements[0]) ||
        !IsSlot(range.elements[1]) || !range.elements[2].is_array() || range.elements[2].elements.size() < 2)
      return Malformed();
    const RedisReply& host = range.elements[2].elements[0];
    const RedisReply& port = range.elements[2].elements[1];
    if (!port.is_integer() || port.integer < 1 || port.integer > 65535) return Malformed();
    const bool is_unnamed = host.is_nil() || host.text.empty() || host.text == "?";
    const RedisEndpoint primary{is_unnamed ? asked.host : host.text, static_cast<int>(port.integer)};
    for (int64_t slot = range.elements[0].integer; slot <= range.elements[1].integer; ++slot)
      map.Assign(static_cast<int>(slot), primary);
    if (map.primaries_.size() > kMaxClusterPrimaries) return Malformed();
  }
  if (map.primaries_.empty()) return absl::UnavailableError("the cluster serves no slots yet");
  return map;
}

const RedisEndpoint* SlotMap::PrimaryOf(int slot) const {
  return owners_[slot] == kNobody ? nullptr : &primaries_[owners_[slot]];
}

int16_t SlotMap::IndexOf(const RedisEndpoint& primary) {
  const auto found = std::ranges::find(primaries_, primary);
  const auto index = static_cast<int16_t>(found - primaries_.begin());
  if (found == primaries_.end()) primaries_.push_back(primary);
  return index;
}

}  // namespace cacheclip
