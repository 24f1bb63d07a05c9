#include "common/store/tombstones.h"

#include <gtest/gtest.h>

#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

ChunkKey Key(int seed) { return MakeTestChunk(seed)->key(); }

TEST(Tombstones, StandForTheTierThatCouldNotBeTold) {
  Tombstones tombstones;
  tombstones.Add(Key(1), 2);
  EXPECT_TRUE(tombstones.Has(Key(1), 2));
  EXPECT_FALSE(tombstones.Has(Key(1), 1));
  EXPECT_FALSE(tombstones.Has(Key(2), 2));
  EXPECT_EQ(tombstones.Any(2), Key(1));
  EXPECT_FALSE(tombstones.Any(1).has_value());
  tombstones.Add(Key(1), 1);
  tombstones.Remove(Key(1), 2);
  EXPECT_TRUE(tombstones.Has(Key(1), 1));
  tombstones.Remove(Key(1), 1);
  EXPECT_EQ(tombstones.size(), 0u);
}

TEST(Tombstones, GoWhenTheChunkIsPutAgain) {
  Tombstones tombstones;
  tombstones.Add(Key(1), 0);
  tombstones.Add(Key(1), 3);
  tombstones.RemoveAll(Key(1));
  EXPECT_FALSE(tombstones.Has(Key(1), 0));
  EXPECT_FALSE(tombstones.Has(Key(1), 3));
}

TEST(Tombstones, AreBoundedAndCountWhatTheyDrop) {
  Tombstones tombstones(2);
  for (int seed : {1, 2, 3}) tombstones.Add(Key(seed), 0);
  EXPECT_EQ(tombstones.size(), 2u);
  EXPECT_FALSE(tombstones.Has(Key(1), 0));
  EXPECT_EQ(tombstones.num_dropped(), 1);
}

}  // namespace
}  // namespace cacheclip
