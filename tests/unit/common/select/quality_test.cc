#include "common/select/quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr Quality kLevels[] = {Quality::kFast, Quality::kBalanced, Quality::kExact};

TEST(Quality, ExactIsFullPrefill) {
  EXPECT_EQ(DemandOf(Quality::kExact, {}).method, Method::kFull);
  EXPECT_EQ(DemandOf(Quality::kExact, {}).budget, 1);
}

TEST(Quality, TheOtherLevelsAreAutoWithinTheirBounds) {
  const QualityLevels levels{.fast = {.budget = 0.03, .coverage = 0.3},
                             .balanced = {.budget = 0.3, .coverage = 0.9}};
  const SelectionDemand fast = DemandOf(Quality::kFast, levels);
  EXPECT_EQ(fast.method, Method::kAuto);
  EXPECT_EQ(fast.budget, 0.03);
  EXPECT_EQ(fast.coverage, 0.3);
  const SelectionDemand balanced = DemandOf(Quality::kBalanced, levels);
  EXPECT_EQ(balanced.method, Method::kAuto);
  EXPECT_EQ(balanced.budget, 0.3);
  EXPECT_EQ(balanced.coverage, 0.9);
}

TEST(Quality, FastPromisesLessThanBalanced) {
  const QualityLevels levels;
  EXPECT_LT(levels.fast.budget, levels.balanced.budget);
  EXPECT_LE(levels.fast.coverage, levels.balanced.coverage);
  EXPECT_TRUE(ValidateQualityLevels(levels).ok());
}

TEST(Quality, LevelsOutOfRangeAreNamed) {
  const auto error = [](const QualityLevels& levels) {
    return std::string(ValidateQualityLevels(levels).message());
  };
  EXPECT_THAT(error({.fast = {.budget = -0.1}}), testing::HasSubstr("budget of fast"));
  EXPECT_THAT(error({.balanced = {.budget = 1.1}}), testing::HasSubstr("budget of balanced"));
  EXPECT_THAT(error({.fast = {.coverage = 0}}), testing::HasSubstr("coverage of fast"));
  EXPECT_THAT(error({.balanced = {.coverage = std::numeric_limits<double>::quiet_NaN()}}),
              testing::HasSubstr("coverage of balanced"));
}

TEST(Quality, EveryIdParsesBackToItsLevel) {
  for (const Quality quality : kLevels) EXPECT_EQ(ParseQuality(QualityId(quality)).value(), quality);
}

TEST(Quality, UnknownIdNamesTheFieldAndListsTheKnown) {
  for (const char* id : {"", "EXACT", "best"}) {
    const absl::Status status = ParseQuality(id).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << id;
    EXPECT_EQ(FieldOf(status), "options.quality");
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(KnownQualityIds()));
  }
}

}  // namespace
}  // namespace cacheclip
