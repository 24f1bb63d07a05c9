#include "common/select/fixed_selectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace cacheclip {
namespace {

using testing::ElementsAre;

TEST(ChunkHeads, TakesTheFirstTokensOfEachChunkButTheFirst) {
  const RecomputeSet set = SelectChunkHeads({{5, 5, 5}}, {.budget = 0.34}).value();
  EXPECT_THAT(set.indices, ElementsAre(5, 6, 7, 10, 11));
  EXPECT_DOUBLE_EQ(set.realised_ratio(), 5.0 / 15.0);
}

TEST(ChunkHeads, FullBudgetTakesEverything) {
  EXPECT_EQ(SelectChunkHeads({{5, 3}}, {.budget = 1.0}).value().indices, SelectAll({{5, 3}}).indices);
}

TEST(Random, SameSeedSameSetAndOtherSeedOther) {
  const ContextMap map{{100, 200, 300}};
  const RecomputeSet set = SelectRandom(map, {.budget = 0.1}, 7).value();
  EXPECT_EQ(set.indices.size(), 60u);
  EXPECT_EQ(set.indices, SelectRandom(map, {.budget = 0.1}, 7).value().indices);
  EXPECT_NE(set.indices, SelectRandom(map, {.budget = 0.1}, 8).value().indices);
}

TEST(Random, IsTheSameOnEveryMachine) {
  EXPECT_THAT(SelectRandom({{4, 40}}, {.budget = 0.1}, 1).value().indices, ElementsAre(12, 28, 29, 36));
}

TEST(Random, SpreadsOverAllSelectableTokensOverManySeeds) {
  const ContextMap map{{10, 20}};
  std::set<int32_t> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const RecomputeSet set = SelectRandom(map, {.budget = 0.1}, seed).value();
    seen.insert(set.indices.begin(), set.indices.end());
  }
  EXPECT_EQ(seen.size(), 20u);
  EXPECT_EQ(*seen.begin(), 10);
}

TEST(Controls, NoneIsEmptyAndAllIsEverything) {
  EXPECT_TRUE(SelectNone({{2, 2}}).indices.empty());
  EXPECT_EQ(SelectNone({{2, 2}}).num_context_tokens, 4);
  EXPECT_THAT(SelectAll({{2, 2}}).indices, ElementsAre(0, 1, 2, 3));
  EXPECT_DOUBLE_EQ(SelectAll({{2, 2}}).realised_ratio(), 1.0);
}

TEST(Controls, ContextWithoutChunksIsFine) {
  EXPECT_TRUE(SelectChunkHeads({}, {.budget = 1.0}).value().indices.empty());
  EXPECT_TRUE(SelectRandom({}, {.budget = 0.5}, 1).value().indices.empty());
  EXPECT_EQ(SelectAll({}).realised_ratio(), 0.0);
}

TEST(Controls, BadBudgetIsRefused) {
  EXPECT_EQ(SelectChunkHeads({{2, 2}}, {.budget = 2}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SelectRandom({{2, 2}}, {.budget = -1}, 1).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cacheclip
