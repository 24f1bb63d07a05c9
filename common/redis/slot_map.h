// Which node of a Redis Cluster serves which slot: a picture of the cluster at one moment, made from the
// answer to CLUSTER SLOTS. Values; a map that others read is never changed.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/redis/key_slot.h"
#include "common/redis/redis_options.h"
#include "common/redis/redis_reply.h"

namespace cacheclip {

inline constexpr int kMaxClusterPrimaries = 1000;  // what Redis recommends at most

class SlotMap {
 public:
  SlotMap() { owners_.fill(kNobody); }

  // `asked` is the node that answered: a node that does not know its own name is called by that one's host.
  // INTERNAL for another shape of answer, UNAVAILABLE when it names no slots.
  static absl::StatusOr<SlotMap> FromClusterSlots(const RedisReply& reply, const RedisEndpoint& asked);

  const RedisEndpoint* PrimaryOf(int slot) const;  // null: nobody serves it
  const std::vector<RedisEndpoint>& primaries() const { return primaries_; }

  // After a MOVED.
  void Assign(int slot, const RedisEndpoint& primary) { owners_[slot] = IndexOf(primary); }

 private:
  static constexpr int16_t kNobody = -1;
  int16_t IndexOf(const RedisEndpoint& primary);  // adds it

  std::vector<RedisEndpoint> primaries_;
  std::array<int16_t, kNumRedisSlots> owners_;
};

}  // namespace cacheclip
