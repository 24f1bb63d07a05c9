#include "common/engine/tier_speed.h"

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

double Milliseconds(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

TEST(TierSpeed, KnowsNothingAtFirstAndHopesForTheBest) {
  FakeClock clock;
  TierSpeed speed(&clock);
  EXPECT_EQ(speed.Estimate(Tier::kRedis).confidence, 0);
  EXPECT_EQ(speed.Estimate(Tier::kRedis).Predict(1 << 30), absl::ZeroDuration());
}

TEST(TierSpeed, LearnsLatencyAndBandwidth) {
  FakeClock clock;
  TierSpeed speed(&clock);
  for (int i = 0; i < 40; ++i) {  // 5 ms and 100 MB/s
    const int64_t bytes = 1'000'000 * (1 + i % 7);
    speed.ObserveRead(Tier::kRedis, bytes,
                      absl::Milliseconds(5) + absl::Seconds(static_cast<double>(bytes) / 1e8));
  }
  const TierEstimate estimate = speed.Estimate(Tier::kRedis);
  EXPECT_NEAR(Milliseconds(estimate.latency), 5, 0.1);
  EXPECT_NEAR(estimate.seconds_per_byte, 1e-8, 1e-10);
  EXPECT_LT(estimate.deviation, absl::Milliseconds(1));
  EXPECT_NEAR(Milliseconds(estimate.Predict(50'000'000)), 505, 5);
  EXPECT_EQ(speed.Estimate(Tier::kObject).confidence, 0) << "tiers are learned apart";
}

TEST(TierSpeed, ReadsThatDifferMakeItCautious) {
  FakeClock clock;
  TierSpeed steady(&clock), moody(&clock);
  for (int i = 0; i < 20; ++i) {
    steady.ObserveRead(Tier::kRedis, 1'000'000, absl::Milliseconds(20));
    moody.ObserveRead(Tier::kRedis, 1'000'000, absl::Milliseconds(i % 2 == 0 ? 1 : 39));
  }
  EXPECT_GT(moody.Estimate(Tier::kRedis).Predict(1'000'000),
            1.5 * steady.Estimate(Tier::kRedis).Predict(1'000'000));
}

TEST(TierSpeed, FollowsATierThatBecomesSlow) {
  FakeClock clock;
  TierSpeed speed(&clock);
  for (int i = 0; i < 50; ++i) speed.ObserveRead(Tier::kDisk, 1'000'000, absl::Milliseconds(2));
  for (int i = 0; i < 20; ++i) speed.ObserveRead(Tier::kDisk, 1'000'000, absl::Milliseconds(200));
  EXPECT_GT(speed.Estimate(Tier::kDisk).Predict(1'000'000), absl::Milliseconds(150));
}

TEST(TierSpeed, AStuckTierIsTriedAgainAfterAWhile) {
  FakeClock clock;
  TierSpeed speed(&clock);
  speed.ObserveLate(Tier::kRedis, 1'000'000, absl::Seconds(1));
  const absl::Duration at_once = speed.Estimate(Tier::kRedis).Predict(1'000'000);
  EXPECT_GT(at_once, absl::Seconds(3)) << "as if it had taken four times as long as was waited";
  absl::Duration last = at_once;
  for (int i = 0; i < 12; ++i) {
    clock.Advance(TierSpeed::kHalfLife);
    const absl::Duration now = speed.Estimate(Tier::kRedis).Predict(1'000'000);
    EXPECT_LT(now, last);
    last = now;
  }
  EXPECT_LT(last, at_once / 50);
}

TEST(TierSpeed, ATierThatStaysStuckIsTriedEverMoreRarely) {
  FakeClock clock;
  TierSpeed speed(&clock);
  for (int i = 0; i < 50; ++i) speed.ObserveRead(Tier::kRedis, 1'000'000, absl::Milliseconds(2));
  absl::Duration before = speed.Estimate(Tier::kRedis).Predict(1'000'000);
  for (int i = 0; i < TierSpeed::kMaxLateInRow; ++i) {
    speed.ObserveLate(Tier::kRedis, 1'000'000, absl::Milliseconds(100));
    const absl::Duration now = speed.Estimate(Tier::kRedis).Predict(1'000'000);
    EXPECT_GT(now, 2 * before) << i;
    before = now;
  }
  EXPECT_GT(before, absl::Seconds(10));
  for (int i = 0; i < 40; ++i) speed.ObserveRead(Tier::kRedis, 1'000'000, absl::Milliseconds(2));
  speed.ObserveLate(Tier::kRedis, 1'000'000, absl::Milliseconds(100));
  EXPECT_LT(speed.Estimate(Tier::kRedis).Predict(1'000'000), absl::Seconds(5)) << "forgiven since";
}

}  // namespace
}  // namespace cacheclip
