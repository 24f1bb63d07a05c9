#include <gtest/gtest.h>

#include "services/cacheclip/bench.h"

namespace cacheclip {
namespace {

ModelConfig SmallModel() {
  ModelConfig model;
  model.vocab_size = 1000;
  model.hidden_size = 128;
  model.intermediate_size = 256;
  model.num_layers = 4;
  model.num_heads = model.num_kv_heads = 2;
  model.head_dim = 64;
  return model;
}

MachineLimits Machine() {
  return {.gemm_flops_per_second = 1e9,
          .attention_flops_per_second = 1e9,
          .read_bytes_per_second = 1e9,
          .exponentials_per_second = 1e9,
          .num_threads = 1};
}

PromptShape Shape(int64_t recomputed) {
  return {.prefix_tokens = 20, .context_tokens = 4000, .suffix_tokens = 30, .recomputed_tokens = recomputed};
}

TEST(BenchLimits, MedianIsTheMiddle) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median({3, 1, 2}), 2);
  EXPECT_EQ(Median({4, 1, 2, 3}), 2.5);
}

TEST(BenchLimits, ALineFitsPointsOnItAndSaysHowFarOthersAre) {
  const Line exact = FitLine({0, 1, 4}, {3, 5, 11});
  EXPECT_NEAR(exact.at_zero, 3, 1e-12);
  EXPECT_NEAR(exact.slope, 2, 1e-12);
  EXPECT_NEAR(exact.largest_deviation, 0, 1e-12);
  const Line rough = FitLine({0, 1, 2}, {1, 4, 1});  // y = 2
  EXPECT_NEAR(rough.slope, 0, 1e-12);
  EXPECT_NEAR(rough.largest_deviation, 0.5, 1e-12);
}

TEST(BenchLimits, RecomputeCostGrowsWithTheBudgetAndStaysBelowFullPrefill) {
  const double none = RecomputeCost(SmallModel(), Shape(0)).linear_flops;
  const double fifth = RecomputeCost(SmallModel(), Shape(800)).linear_flops;
  const double full = FullPrefillCost(SmallModel(), Shape(800)).linear_flops;
  EXPECT_LT(none, fifth);
  EXPECT_NEAR(fifth / full, 830.0 / 4050.0, 0.01);
}

TEST(BenchLimits, LoadingHidesBehindRecomputeUntilItIsSlower) {
  PromptShape shape = Shape(800);
  const double without = TtftFloorSeconds(SmallModel(), shape, Machine());
  shape.stored_bytes = 1;
  EXPECT_EQ(TtftFloorSeconds(SmallModel(), shape, Machine()), without);
  shape.stored_bytes = 1e12;  // a thousand seconds to read
  EXPECT_GT(TtftFloorSeconds(SmallModel(), shape, Machine()), 1000);
}

}  // namespace
}  // namespace cacheclip
