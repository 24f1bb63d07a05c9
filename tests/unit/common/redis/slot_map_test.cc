#include "common/redis/slot_map.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace cacheclip {
namespace {

RedisReply Number(int64_t value) { return {.type = RedisReply::Type::kInteger, .integer = value}; }
RedisReply Text(std::string text) { return {.type = RedisReply::Type::kString, .text = std::move(text)}; }
RedisReply Array(std::vector<RedisReply> elements) {
  return {.type = RedisReply::Type::kArray, .elements = std::move(elements)};
}
RedisReply Range(int64_t first, int64_t last, RedisReply host, int64_t port) {
  return Array({Number(first), Number(last), Array({std::move(host), Number(port), Text("id")}),
                Array({Text("replica"), Number(1), Text("id")})});
}
const RedisEndpoint kAsked{"asked", 7000};

TEST(SlotMap, KnowsThePrimaryOfEverySlot) {
  const auto map = SlotMap::FromClusterSlots(
      Array({Range(0, 99, Text("a"), 1), Range(100, 16382, Text("b"), 2), Range(200, 200, Text("a"), 1)}),
      kAsked);
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(*map->PrimaryOf(0), (RedisEndpoint{"a", 1}));
  EXPECT_EQ(*map->PrimaryOf(16382), (RedisEndpoint{"b", 2}));
  EXPECT_EQ(*map->PrimaryOf(200), (RedisEndpoint{"a", 1}));
  EXPECT_EQ(map->PrimaryOf(16383), nullptr);
  EXPECT_EQ(map->primaries().size(), 2);
}

TEST(SlotMap, NodeWithoutANameIsTheOneThatWasAsked) {
  for (const RedisReply& host : {RedisReply{}, Text(""), Text("?")})
    EXPECT_EQ(*SlotMap::FromClusterSlots(Array({Range(0, 5, host, 9)}), kAsked)->PrimaryOf(5),
              (RedisEndpoint{"asked", 9}));
}

TEST(SlotMap, MovedSlotHasANewPrimary) {
  SlotMap map = SlotMap::FromClusterSlots(Array({Range(0, 5, Text("a"), 1)}), kAsked).value();
  map.Assign(3, {"c", 3});
  EXPECT_EQ(*map.PrimaryOf(3), (RedisEndpoint{"c", 3}));
  EXPECT_EQ(*map.PrimaryOf(4), (RedisEndpoint{"a", 1}));
}

TEST(SlotMap, RefusesWhatIsNoListOfSlots) {
  EXPECT_TRUE(absl::IsUnavailable(SlotMap::FromClusterSlots(Array({}), kAsked).status()));
  for (const RedisReply& reply : {Text("x"), Array({Text("x")}), Array({Range(0, 16384, Text("a"), 1)}),
                                  Array({Range(-1, 5, Text("a"), 1)}), Array({Range(0, 5, Text("a"), 70000)}),
                                  Array({Array({Number(0), Number(1), Array({Text("a")})})})})
    EXPECT_TRUE(absl::IsInternal(SlotMap::FromClusterSlots(reply, kAsked).status()));
}

}  // namespace
}  // namespace cacheclip
