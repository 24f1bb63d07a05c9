// Which of a Redis Cluster's 16384 slots a key belongs to: CRC16 (XMODEM) of the key, or of what stands
// between its first '{' and the next '}' when that is not empty (the hash tag). Pure function; thread-safe.
#pragma once

#include <string_view>

namespace cacheclip {

inline constexpr int kNumRedisSlots = 16384;

int RedisKeySlot(std::string_view key);  // 0…kNumRedisSlots - 1

}  // namespace cacheclip
