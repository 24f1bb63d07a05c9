#include "common/redis/key_slot.h"

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

// The slots that the documentation of Redis Cluster and a server name.
TEST(KeySlot, EqualsTheServers) {
  EXPECT_EQ(RedisKeySlot("123456789"), 0x31C3);
  EXPECT_EQ(RedisKeySlot("foo"), 12182);
  EXPECT_EQ(RedisKeySlot(""), 0);
}

TEST(KeySlot, HashTagDecides) {
  EXPECT_EQ(RedisKeySlot("cc:kv:{foo}:h"), RedisKeySlot("foo"));
  EXPECT_EQ(RedisKeySlot("cc:kv:{foo}:17"), RedisKeySlot("foo"));
  EXPECT_EQ(RedisKeySlot("{foo}{bar}"), RedisKeySlot("foo")) << "the first tag counts";
}

TEST(KeySlot, EmptyOrOpenTagIsPartOfTheKey) {
  EXPECT_NE(RedisKeySlot("{}foo"), RedisKeySlot("foo"));
  EXPECT_NE(RedisKeySlot("{foo"), RedisKeySlot("foo"));
  EXPECT_EQ(RedisKeySlot("foo{{bar}}zap"), RedisKeySlot("{bar"));
}

}  // namespace
}  // namespace cacheclip
