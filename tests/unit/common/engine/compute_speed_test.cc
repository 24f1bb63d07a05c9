#include "common/engine/compute_speed.h"

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

ModelConfig SmallConfig() {
  ModelConfig config;
  config.hidden_size = 64;
  config.intermediate_size = 128;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 16;
  config.num_layers = 2;
  return config;
}

TEST(ComputeSpeed, CountsWhatEachRowAttendsTo) {
  EXPECT_EQ(FullPass(4).num_attended, 1 + 2 + 3 + 4);
  EXPECT_EQ(PassBehind(10, 2).num_attended, 11 + 12);
  EXPECT_EQ(PassBehind(10, 2).num_rows, 2);
  EXPECT_EQ(ScatteredPass(3, 100).num_attended, 150);
}

TEST(ComputeSpeed, CountsTwoOperationsPerParameterAndRow) {
  const double linear = PassOperations(SmallConfig(), 1, {.num_rows = 10, .num_attended = 0});
  EXPECT_DOUBLE_EQ(linear, 10 * 2.0 * (64 * 16 * (2 * 4 + 2 * 2) + 3 * 64 * 128));
  const double attention = PassOperations(SmallConfig(), 1, {.num_rows = 0, .num_attended = 100});
  EXPECT_DOUBLE_EQ(attention, 100 * 4.0 * 4 * 16);
  EXPECT_DOUBLE_EQ(PassOperations(SmallConfig(), 2, {10, 100}), 2 * (linear + attention));
}

TEST(ComputeSpeed, KnowsNothingBeforeTheFirstPass) {
  ComputeSpeed speed;
  EXPECT_FALSE(speed.Estimate(PassKind::kFull, 100).has_value());
  speed.Observe(PassKind::kFull, 0, absl::Seconds(1));
  speed.Observe(PassKind::kFull, 100, absl::ZeroDuration());
  EXPECT_FALSE(speed.Estimate(PassKind::kFull, 100).has_value()) << "nothing to learn from these";
  speed.Observe(PassKind::kFull, 1000, absl::Seconds(2));
  EXPECT_EQ(speed.Estimate(PassKind::kFull, 500), absl::Seconds(1));
}

TEST(ComputeSpeed, FollowsTheMachine) {
  ComputeSpeed speed;
  speed.Observe(PassKind::kFull, 1000, absl::Seconds(1));
  for (int i = 0; i < 30; ++i) speed.Observe(PassKind::kFull, 1000, absl::Seconds(3));
  EXPECT_NEAR(absl::ToDoubleSeconds(*speed.Estimate(PassKind::kFull, 1000)), 3, 0.01);
}

TEST(ComputeSpeed, TellsKindsOfPassesApart) {
  ComputeSpeed speed;
  speed.Observe(PassKind::kEncode, 1000, absl::Seconds(2));
  EXPECT_EQ(speed.Estimate(PassKind::kFull, 1000), absl::Seconds(2)) << "for want of better";
  speed.Observe(PassKind::kSelective, 1000, absl::Seconds(1));
  EXPECT_EQ(speed.Estimate(PassKind::kFull, 1000), absl::Seconds(1)) << "the fastest known";
  ComputeSpeed other;
  other.Observe(PassKind::kEncode, 1000, absl::Seconds(2));
  other.Observe(PassKind::kFull, 1000, absl::Seconds(1));
  EXPECT_EQ(other.Estimate(PassKind::kSelective, 1000), absl::Seconds(2)) << "the slowest known";
  speed.Observe(PassKind::kFull, 1000, absl::Seconds(1.5));
  EXPECT_EQ(speed.Estimate(PassKind::kFull, 1000), absl::Seconds(1.5));
  EXPECT_EQ(speed.Estimate(PassKind::kEncode, 1000), absl::Seconds(2));
}

}  // namespace
}  // namespace cacheclip
