#include "common/engine/load_planner.h"

#include <gtest/gtest.h>

#include <random>

namespace cacheclip {
namespace {

constexpr int64_t kMegabyte = 1'000'000;

// Four chunks of 10 MB that take a second each to encode; full prefill takes 5 s, the selective pass one.
ComputeCosts FourChunks() {
  return {.full_prefill = absl::Seconds(5),
          .selective_pass = absl::Seconds(1),
          .encode = std::vector<absl::Duration>(4, absl::Seconds(1))};
}

LoadPlanInput PlanFrom(Tier tier, absl::Duration latency, double bytes_per_second) {
  return {.chunk_bytes = std::vector<int64_t>(4, 10 * kMegabyte),
          .costs = FourChunks(),
          .tiers = {{tier, {.latency = latency, .seconds_per_byte = 1 / bytes_per_second, .confidence = 1}}}};
}

TEST(LoadPlanner, LoadsWhatArrivesBeforeItCouldBeEncoded) {
  for (const ChunkLoadPlan& plan : PlanLoads(PlanFrom(Tier::kRedis, absl::Milliseconds(5), 1e8))) {
    EXPECT_TRUE(plan.avoid.empty());
    EXPECT_EQ(plan.reason, kLoadFaster);
  }
}

TEST(LoadPlanner, ATierSlowerThanEncodingIsNotAsked) {
  for (const ChunkLoadPlan& plan : PlanLoads(PlanFrom(Tier::kRedis, absl::Milliseconds(5), 5e6))) {
    EXPECT_TRUE(plan.avoid.Contains(Tier::kRedis));
    EXPECT_FALSE(plan.avoid.Contains(Tier::kDisk));
    EXPECT_EQ(plan.reason, kLoadSomeTiers);
  }
}

TEST(LoadPlanner, LatencyIsPaidOnceNotPerChunk) {
  for (const ChunkLoadPlan& plan : PlanLoads(PlanFrom(Tier::kObject, absl::Seconds(3), 1e9)))
    EXPECT_TRUE(plan.avoid.empty()) << "three seconds against four of encoding";
  for (const ChunkLoadPlan& plan : PlanLoads(PlanFrom(Tier::kObject, absl::Seconds(4), 1e9)))
    EXPECT_TRUE(plan.avoid.Contains(Tier::kObject));
}

TEST(LoadPlanner, DecidesForEachChunk) {
  LoadPlanInput input = PlanFrom(Tier::kRedis, absl::Milliseconds(5), 2e7);
  input.chunk_bytes[2] = 100 * kMegabyte;  // stored wastefully: five seconds to load, one to encode
  const auto plans = PlanLoads(input);
  EXPECT_TRUE(plans[1].avoid.empty());
  EXPECT_TRUE(plans[2].avoid.Contains(Tier::kRedis));
}

TEST(LoadPlanner, WithoutAMeasureEverythingIsLoaded) {
  LoadPlanInput input = PlanFrom(Tier::kRedis, absl::Seconds(100), 1);
  input.costs = {};
  for (const ChunkLoadPlan& plan : PlanLoads(input)) {
    EXPECT_TRUE(plan.avoid.empty());
    EXPECT_EQ(plan.reason, kLoadUnmeasured);
  }
  EXPECT_EQ(LoadAllowance(input.costs, std::vector<bool>(4, true), absl::Seconds(7)), absl::Seconds(7));
  EXPECT_FALSE(FullPrefillWins(input.costs, std::vector<bool>(4, true), absl::Hours(1)));
}

TEST(LoadPlanner, TheMoreHasArrivedTheLongerTheRestMayTake) {
  const ComputeCosts costs = FourChunks();
  std::vector<bool> missing(4, true);
  // 5.25 s + 25 ms is the latest finish. All missing: encoding (4 s) and the pass (1 s) take as long as
  // prefill.
  EXPECT_EQ(LoadAllowance(costs, missing, absl::Hours(1)), absl::Milliseconds(275));
  missing[0] = false;
  EXPECT_EQ(LoadAllowance(costs, missing, absl::Hours(1)), absl::Milliseconds(875));
  EXPECT_EQ(LoadAllowance(costs, std::vector<bool>(4, false), absl::Hours(1)), absl::Milliseconds(4175));
  EXPECT_EQ(LoadAllowance(costs, missing, absl::Milliseconds(500)), absl::Milliseconds(500))
      << "the configured bound";
}

TEST(LoadPlanner, FullPrefillAnswersWhenEncodingWouldEndTooLate) {
  ComputeCosts costs = FourChunks();
  costs.selective_pass = absl::Seconds(2);
  const std::vector<bool> all(4, true), one = {true, false, false, false};
  EXPECT_TRUE(FullPrefillWins(costs, all, absl::Milliseconds(250)));
  EXPECT_FALSE(FullPrefillWins(costs, one, absl::Milliseconds(250)));
  costs.full_prefill = absl::Seconds(7);
  EXPECT_FALSE(FullPrefillWins(costs, all, absl::Seconds(3))) << "it would be slower still";
}

// Whatever is missing and whenever it is given up, the way out ends within the bound.
TEST(LoadPlanner, NoStoreAddsMoreThanTheBound) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> seconds(0.001, 20);
  for (int round = 0; round < 2000; ++round) {
    ComputeCosts costs{.full_prefill = absl::Seconds(seconds(random))};
    costs.selective_pass = costs.full_prefill * (0.02 + 0.3 * seconds(random) / 20);
    std::vector<bool> missing;
    for (int i = 0; i < 6; ++i) {
      costs.encode.push_back(costs.full_prefill / 6 * (0.7 + 0.3 * seconds(random) / 20));
      missing.push_back(random() % 2 == 0);
    }
    const absl::Duration waited = LoadAllowance(costs, missing, absl::Hours(1));
    const absl::Duration rest = FullPrefillWins(costs, missing, waited)
                                    ? costs.full_prefill
                                    : costs.EncodeAll(missing) + costs.selective_pass;
    EXPECT_LE(waited + rest, costs.LatestFinish() + absl::Microseconds(1)) << round;
  }
}

TEST(LoadPlanner, ThePassBeginsWhenLayersWillArriveInTime) {
  EXPECT_EQ(LayersToAwait(24, absl::Milliseconds(100), absl::Milliseconds(200)), 1);
  EXPECT_EQ(LayersToAwait(24, absl::Milliseconds(400), absl::Milliseconds(200)), 12);
  EXPECT_EQ(LayersToAwait(24, absl::Seconds(100), absl::Milliseconds(1)), 24);
  EXPECT_EQ(LayersToAwait(24, absl::ZeroDuration(), absl::InfiniteDuration()), 1);
  EXPECT_EQ(LayersToAwait(1, absl::Seconds(100), absl::Milliseconds(1)), 1);
}

}  // namespace
}  // namespace cacheclip
