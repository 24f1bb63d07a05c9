#include "common/base/clock.h"

#include "gtest/gtest.h"

namespace cacheclip {
namespace {

TEST(FakeClock, MovesOnlyWhenTold) {
  FakeClock clock(absl::FromUnixSeconds(1000));
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(1000));
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(1000));
  clock.Advance(absl::Seconds(2.5));
  EXPECT_EQ(clock.Now(), absl::FromUnixMillis(1002500));
}

TEST(RealClock, IsOneSharedObjectThatDoesNotStandAtTheEpoch) {
  EXPECT_EQ(RealClock(), RealClock());
  EXPECT_GT(RealClock()->Now(), absl::UnixEpoch() + absl::Hours(24 * 365 * 50));
}

}  // namespace
}  // namespace cacheclip
