#include "common/store/recent_keys.h"

#include <gtest/gtest.h>

#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

ChunkKey Key(int seed) { return MakeTestChunk(seed)->key(); }

TEST(RecentKeys, TellsASecondUseFromAFirst) {
  RecentKeys keys(10);
  EXPECT_TRUE(keys.Insert(Key(1)));
  EXPECT_FALSE(keys.Insert(Key(1)));
  EXPECT_TRUE(keys.Insert(Key(2)));
  keys.Clear();
  EXPECT_TRUE(keys.Insert(Key(1)));
}

TEST(RecentKeys, ForgetsTheOldest) {
  RecentKeys keys(2);
  for (int seed : {1, 2, 3}) EXPECT_TRUE(keys.Insert(Key(seed)));
  EXPECT_FALSE(keys.Insert(Key(3)));
  EXPECT_FALSE(keys.Insert(Key(2)));
  EXPECT_TRUE(keys.Insert(Key(1))) << "the bound holds";
}

}  // namespace
}  // namespace cacheclip
