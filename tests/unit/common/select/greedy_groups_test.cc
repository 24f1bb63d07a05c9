#include "common/select/greedy_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cacheclip {
namespace {

using testing::ElementsAre;

TEST(GreedyGroups, OverlappingGroupIsWorthOnlyWhatItAdds) {
  // [0,3) is worth most; [1,4) then adds one token of 4, [3,6) three tokens of 6 in all.
  const std::vector<float> scores = {9, 9, 9, 4, 1, 1};
  GreedyGroups groups(scores, 6);
  groups.Choose({{0, 3}, {1, 4}, {3, 6}}, GroupValue::kSum);
  EXPECT_THAT(groups.ChosenIndices(), ElementsAre(0, 1, 2, 3, 4, 5));

  GreedyGroups tight(scores, 4);
  tight.Choose({{0, 3}, {1, 4}, {3, 6}}, GroupValue::kSum);
  EXPECT_THAT(tight.ChosenIndices(), ElementsAre(0, 1, 2, 3));
}

TEST(GreedyGroups, LastGroupKeepsItsBestContiguousPart) {
  const std::vector<float> scores = {1, 5, 5, 1, 0, 0};
  GreedyGroups groups(scores, 2);
  groups.Choose({{0, 4}, {4, 6}}, GroupValue::kSum);
  EXPECT_THAT(groups.ChosenIndices(), ElementsAre(1, 2));
}

TEST(GreedyGroups, PartMaySpanWhatIsAlreadyChosen) {
  const std::vector<float> scores = {1, 3, 0, 3, 1};
  GreedyGroups groups(scores, 3);
  groups.Take({2, 3});
  groups.Choose({{0, 5}}, GroupValue::kSum);
  EXPECT_THAT(groups.ChosenIndices(), ElementsAre(1, 2, 3));
}

TEST(GreedyGroups, TiesGoToTheLowerIndex) {
  const std::vector<float> scores(8, 1.0f);
  GreedyGroups groups(scores, 3);
  groups.Choose({{0, 2}, {2, 4}, {4, 6}, {6, 8}}, GroupValue::kSum);
  EXPECT_THAT(groups.ChosenIndices(), ElementsAre(0, 1, 2));
}

TEST(GreedyGroups, MeanPrefersTheDenseGroup) {
  const std::vector<float> scores = {2, 2, 2, 2, 3, 3};
  GreedyGroups by_mean(scores, 2);
  by_mean.Choose({{0, 4}, {4, 6}}, GroupValue::kMean);
  EXPECT_THAT(by_mean.ChosenIndices(), ElementsAre(4, 5));
  GreedyGroups by_sum(scores, 2);
  by_sum.Choose({{0, 4}, {4, 6}}, GroupValue::kSum);
  EXPECT_THAT(by_sum.ChosenIndices(), ElementsAre(0, 1));
}

TEST(GreedyGroups, StopsWhenGroupsAreUsedUp) {
  const std::vector<float> scores = {1, 1, 1};
  GreedyGroups groups(scores, 3);
  groups.Choose({{1, 2}}, GroupValue::kSum);
  EXPECT_THAT(groups.ChosenIndices(), ElementsAre(1));
}

TEST(GreedyGroups, NegativeScoresStillFillTheBudget) {
  const std::vector<float> scores = {-3, -1, -2, -5};
  GreedyGroups groups(scores, 3);
  groups.Choose({{0, 2}, {1, 3}, {2, 4}}, GroupValue::kSum);
  EXPECT_EQ(groups.ChosenIndices().size(), 3u);
}

}  // namespace
}  // namespace cacheclip
