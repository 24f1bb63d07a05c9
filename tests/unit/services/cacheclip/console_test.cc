#include "services/cacheclip/console.h"

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

TEST(EstimateTimeLeft, ScalesWithWhatIsLeft) {
  EXPECT_EQ(EstimateTimeLeft(absl::Seconds(10), 5, 20), "40 s");
  EXPECT_EQ(EstimateTimeLeft(absl::Seconds(60), 1, 10), "10 min");
  EXPECT_EQ(EstimateTimeLeft(absl::Seconds(60), 1, 150), "2.5 h");
}

TEST(EstimateTimeLeft, SaysNothingBeforeItCanTell) {
  EXPECT_EQ(EstimateTimeLeft(absl::Milliseconds(100), 5, 20), "") << "too early";
  EXPECT_EQ(EstimateTimeLeft(absl::Seconds(10), 0, 20), "") << "nothing done yet";
  EXPECT_EQ(EstimateTimeLeft(absl::Seconds(10), 5, 0), "") << "at the end";
}

}  // namespace
}  // namespace cacheclip
