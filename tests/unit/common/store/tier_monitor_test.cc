#include "common/store/tier_monitor.h"

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

TEST(TierMonitor, AddsUpWhatWasRead) {
  FakeClock clock;
  TierMonitor monitor(&clock);
  monitor.RecordHit(1000, absl::Milliseconds(2));
  monitor.RecordHit(3000, absl::Milliseconds(4));
  monitor.RecordMiss(absl::Milliseconds(1));
  monitor.RecordFailedPut();
  monitor.RecordPromotion();
  const TierObservations seen = monitor.observations();
  EXPECT_EQ(seen.bytes_read, 4000);
  EXPECT_EQ(seen.read_duration, absl::Milliseconds(6));
  EXPECT_EQ(seen.miss_duration, absl::Milliseconds(1));
  EXPECT_EQ(seen.num_hits, 2);
  EXPECT_EQ(seen.num_misses, 1);
  EXPECT_EQ(seen.num_failed_puts, 1);
  EXPECT_EQ(seen.num_promotions, 1);
  EXPECT_EQ(seen.num_failed_reads, 0);
}

TEST(TierMonitor, LeavesAFailingTierAloneForLongerAndLonger) {
  FakeClock clock;
  TierMonitor monitor(&clock);
  EXPECT_TRUE(monitor.MayAsk());
  absl::Duration pause = TierMonitor::kFirstPause;
  for (int i = 0; i < 12; ++i) {
    monitor.RecordFailure(absl::UnavailableError("down"));
    clock.Advance(pause - absl::Milliseconds(1));
    EXPECT_FALSE(monitor.MayAsk()) << i;
    clock.Advance(absl::Milliseconds(1));
    EXPECT_TRUE(monitor.MayAsk()) << i;
    EXPECT_FALSE(monitor.MayAsk()) << "one caller tries at a time";
    EXPECT_TRUE(monitor.IsPaused());
    pause = std::min(2 * pause, TierMonitor::kMaxPause);
  }
  monitor.RecordMiss(absl::ZeroDuration());
  EXPECT_TRUE(monitor.MayAsk());
  EXPECT_TRUE(monitor.MayAsk()) << "it answers again";
  EXPECT_FALSE(monitor.IsPaused());
  EXPECT_EQ(monitor.observations().num_failed_reads, 12);
  EXPECT_EQ(monitor.observations().num_skipped_reads, 24);
}

TEST(TierMonitor, CountsLateReadsApart) {
  FakeClock clock;
  TierMonitor monitor(&clock);
  monitor.RecordFailure(absl::DeadlineExceededError("late"));
  monitor.RecordFailure(absl::UnavailableError("down"));
  EXPECT_EQ(monitor.observations().num_failed_reads, 2);
  EXPECT_EQ(monitor.observations().num_late_reads, 1);
}

}  // namespace
}  // namespace cacheclip
