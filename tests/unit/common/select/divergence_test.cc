#include "common/select/divergence.h"

#include <gtest/gtest.h>

#include <vector>

namespace cacheclip {
namespace {

const ContextMap kContext{{2, 2, 2}};
const std::vector<float> kScores = {4, 1, 2, 0, 1, 2};

TEST(StaleMass, IsWhatLiesOnTokensThatStayStale) {
  EXPECT_DOUBLE_EQ(StaleMassShare(kContext, kScores, {}, false), 5.0 / 10);
  const std::vector<int32_t> recomputed = {2, 5};
  EXPECT_DOUBLE_EQ(StaleMassShare(kContext, kScores, recomputed, false), 1.0 / 10);
}

TEST(StaleMass, CountsTheFirstChunkWhereItIsStale) {
  EXPECT_DOUBLE_EQ(StaleMassShare(kContext, kScores, {}, true), 1);
  const std::vector<int32_t> recomputed = {0, 2};
  EXPECT_DOUBLE_EQ(StaleMassShare(kContext, kScores, recomputed, true), 4.0 / 10);
}

TEST(StaleMass, IsNothingWhereNothingIsAttended) {
  EXPECT_EQ(StaleMassShare(kContext, std::vector<float>(6, 0.0f), {}, true), 0);
  EXPECT_EQ(StaleMassShare({}, {}, {}, false), 0);
}

TEST(StaleAttention, WeighsLessTheLessOfWhatMattersIsStale) {
  EXPECT_DOUBLE_EQ(StaleAttentionWeight(0.3, 0), 0.3);
  EXPECT_DOUBLE_EQ(StaleAttentionWeight(0.3, kFullWeightShare / 2), 0.65);
  for (const double share : {kFullWeightShare, 0.9, 1.0})
    EXPECT_DOUBLE_EQ(StaleAttentionWeight(0.3, share), 1) << share;
  for (const double share : {0.0, 0.2, 1.0}) EXPECT_DOUBLE_EQ(StaleAttentionWeight(1, share), 1) << share;
}

TEST(DivergenceEstimate, IsTheShareTimesTheModelsCoefficient) {
  EXPECT_DOUBLE_EQ(EstimateDivergence(kContext, {}, false, 0.5, 0.3).value(), 0.15);
  EXPECT_DOUBLE_EQ(EstimateDivergence(kContext, {}, false, 0.5, 0.6).value(), 0.3);
}

TEST(DivergenceEstimate, IsZeroWhereEveryTokenIsFresh) {
  const std::vector<int32_t> all = {0, 1, 2, 3, 4, 5}, behind_the_first = {2, 3, 4, 5};
  EXPECT_EQ(EstimateDivergence(kContext, all, true, std::nullopt, 0.3), 0);
  EXPECT_EQ(EstimateDivergence(kContext, behind_the_first, false, std::nullopt, 0.3), 0);
  EXPECT_EQ(EstimateDivergence({{7}}, {}, false, std::nullopt, 0.3), 0) << "a single chunk";
  EXPECT_EQ(EstimateDivergence({}, {}, false, std::nullopt, 0.3), 0) << "no chunk";
}

TEST(DivergenceEstimate, IsUnknownWhereNobodyScored) {
  const std::vector<int32_t> behind_the_first = {2, 3, 4, 5};
  EXPECT_FALSE(EstimateDivergence(kContext, {}, false, std::nullopt, 0.3).has_value());
  EXPECT_FALSE(EstimateDivergence(kContext, behind_the_first, true, std::nullopt, 0.3).has_value());
}

}  // namespace
}  // namespace cacheclip
