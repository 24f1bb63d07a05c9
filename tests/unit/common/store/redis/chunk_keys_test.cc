#include "common/store/redis/chunk_keys.h"

#include <gtest/gtest.h>

#include "common/redis/key_slot.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

TEST(RedisChunkKeys, AllOfAChunkShareASlot) {
  const auto chunk = MakeTestChunk(1);
  const auto keys = AllRedisKeys(chunk->key(), chunk->header_bytes(), chunk->slices().size());
  ASSERT_EQ(keys.size(), 2 + chunk->slices().size());
  EXPECT_EQ(keys[0], "cc:kv:{" + chunk->key().ToHex() + "}:h");
  EXPECT_EQ(keys[1], RedisPinsKey(chunk->key()));
  EXPECT_EQ(keys[3], RedisSliceKey(chunk->key(), chunk->header_bytes(), 1));
  for (const std::string& key : keys) EXPECT_EQ(RedisKeySlot(key), RedisKeySlot(keys[0])) << key;
}

TEST(RedisChunkKeys, AnotherHeaderNamesOtherSlices) {
  const auto chunk = MakeTestChunk(1);
  auto other = CopyImage(*chunk);
  const auto header = std::span(other).first(chunk->header_bytes().size());
  EXPECT_EQ(RedisSliceKey(chunk->key(), header, 0), RedisSliceKey(chunk->key(), chunk->header_bytes(), 0));
  header.back() ^= std::byte{1};
  EXPECT_NE(RedisSliceKey(chunk->key(), header, 0), RedisSliceKey(chunk->key(), chunk->header_bytes(), 0));
}

TEST(RedisChunkKeys, HeaderKeyNamesItsChunk) {
  const ChunkKey key = MakeTestChunk(1)->key();
  EXPECT_EQ(ChunkOfRedisHeaderKey(RedisHeaderKey(key)), key);
  EXPECT_FALSE(ChunkOfRedisHeaderKey(RedisPinsKey(key)).has_value());
  EXPECT_FALSE(ChunkOfRedisHeaderKey("cc:kv:{" + std::string(64, 'x') + "}:h").has_value());
  EXPECT_FALSE(ChunkOfRedisHeaderKey("").has_value());
}

}  // namespace
}  // namespace cacheclip
