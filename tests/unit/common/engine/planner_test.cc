#include "common/engine/planner.h"

#include <gtest/gtest.h>

#include <numeric>

#include "common/base/status.h"

namespace cacheclip {
namespace {

using Step = RecomputePlan::Step;

PlanInput InputFor(Method method, double budget = 0.25) {
  return {.method = method,
          .has_selector = true,
          .context = {{40, 30, 30}},
          .num_layers = 10,
          .selection = {.budget = budget}};
}

std::vector<int32_t> Range(int32_t begin, int32_t end) {
  std::vector<int32_t> range(end - begin);
  std::iota(range.begin(), range.end(), begin);
  return range;
}

TEST(Planner, AutoIsAuxiliaryWithASelectorAndPrimaryProbeWithout) {
  PlanInput input = InputFor(Method::kAuto);
  EXPECT_EQ(PlanRecompute(input)->method, Method::kAuxiliary);
  EXPECT_EQ(PlanRecompute(input)->step, Step::kAskSelector);
  input.has_selector = false;
  EXPECT_EQ(PlanRecompute(input)->method, Method::kPrimaryProbe);
  EXPECT_EQ(PlanRecompute(input)->step, Step::kProbe);
}

TEST(Planner, FullUsesNoStoredKvAndChargesEverything) {
  const PlanInput input = InputFor(Method::kFull);
  const auto plan = PlanRecompute(input);
  ASSERT_TRUE(plan.ok());
  EXPECT_FALSE(plan->UsesStoredKv());
  EXPECT_EQ(ChargeOf(*plan, plan->indices, input.context, 10).ratio(), 1.0);
}

TEST(Planner, NoneChoosesNothing) {
  const auto plan = PlanRecompute(InputFor(Method::kNone));
  EXPECT_EQ(plan->step, Step::kDecided);
  EXPECT_TRUE(plan->indices.empty());
}

TEST(Planner, FixedMethodsMeetTheBudgetAndLeaveTheFirstChunkAlone) {
  for (const Method method : {Method::kChunkHead, Method::kRandom}) {
    const auto plan = PlanRecompute(InputFor(method));
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->step, Step::kDecided);
    EXPECT_EQ(plan->indices.size(), 25u);
    EXPECT_GE(plan->indices.front(), 40);
  }
}

TEST(Planner, AFullBudgetNeedsNoScores) {
  for (const Method method : {Method::kAuxiliary, Method::kPrimaryProbe, Method::kKvDeviation}) {
    const auto plan = PlanRecompute(InputFor(method, 1.0));
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->step, Step::kDecided);
    EXPECT_EQ(plan->indices, Range(0, 100));
    EXPECT_EQ(plan->method, method);
  }
}

TEST(Planner, NothingSelectableAsksNobody) {
  PlanInput input = InputFor(Method::kAuxiliary);
  input.context = {{40}};
  EXPECT_EQ(PlanRecompute(input)->step, Step::kDecided);
  input.selection.first_chunk_selectable = true;
  EXPECT_EQ(PlanRecompute(input)->step, Step::kAskSelector);
  input.context = {{}};
  EXPECT_EQ(PlanRecompute(input)->step, Step::kDecided);
  EXPECT_EQ(PlanRecompute(InputFor(Method::kPrimaryProbe, 0.0))->step, Step::kDecided);
}

TEST(Planner, FewerLayersPayForMoreTokens) {
  PlanInput input = InputFor(Method::kPrimaryProbe);
  input.selection.depth = 0.8;
  const auto plan = PlanRecompute(input);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->recompute_layers, 8);
  EXPECT_EQ(BudgetTokens(plan->selection.budget, 100), 31);  // 250 layer-tokens, 8 each
  EXPECT_EQ(ChargeOf(*plan, Range(40, 71), input.context, 10).fresh_layer_tokens, 8 * 31);
  for (const Method method : {Method::kAuxiliaryPaper, Method::kChunkHead, Method::kRandom}) {
    input.method = method;  // as published
    EXPECT_EQ(PlanRecompute(input)->recompute_layers, 10) << MethodId(method);
  }
}

TEST(Planner, PublishedMethodsLeaveStaleTokensAsTheyAre) {
  for (const auto& [method, expected] : {std::pair{Method::kPrimaryProbe, 0.4},
                                         {Method::kAuxiliary, 0.4},
                                         {Method::kAuxiliaryPaper, 1.0},
                                         {Method::kKvDeviation, 1.0},
                                         {Method::kChunkHead, 1.0},
                                         {Method::kRandom, 1.0},
                                         {Method::kNone, 1.0}}) {
    PlanInput input = InputFor(method);
    input.selection.stale_weight = 0.4;
    input.selection.stale_shift = 0.7;
    input.selection.local_heads = true;
    input.selection.int8_scores = true;
    EXPECT_EQ(PlanRecompute(input)->stale_weight, expected) << MethodId(method);
    EXPECT_EQ(PlanRecompute(input)->stale_shift, expected < 1 ? 0.7 : 0) << MethodId(method);
    EXPECT_EQ(PlanRecompute(input)->local_heads, expected < 1) << MethodId(method);
    EXPECT_EQ(PlanRecompute(input)->int8_scores, expected < 1) << MethodId(method);
  }
}

TEST(Planner, DepthNeverChargesMoreThanAskedAndABudgetForAllTokensBuysLayers) {
  PlanInput input = InputFor(Method::kPrimaryProbe);
  for (const double depth : {0.04, 0.5, 0.8, 1.0}) {
    input.selection.depth = depth;
    int64_t fresh_before = 0;
    for (int percent = 1; percent < 100; ++percent) {
      input.selection.budget = percent / 100.0;
      const auto plan = PlanRecompute(input);
      ASSERT_TRUE(plan.ok()) << percent;
      const auto chosen = Range(40, 40 + std::min(BudgetTokens(plan->selection.budget, 100), 60));
      const ChargedBudget charge = ChargeOf(*plan, chosen, input.context, 10);
      EXPECT_LE(charge.ratio(), percent / 100.0) << depth;
      // What one more token, or one more layer of all, would cost was not left over.
      EXPECT_GT(charge.fresh_layer_tokens + std::max(plan->recompute_layers, 60),
                std::min(percent * 10, 600));
      if (percent >= 60) EXPECT_EQ(charge.fresh_layer_tokens, 60 * 10) << percent;
      EXPECT_GE(charge.fresh_layer_tokens + plan->recompute_layers, fresh_before) << percent;
      fresh_before = charge.fresh_layer_tokens;
    }
  }
}

TEST(Planner, KvDeviationPaysForItsCheckLayersFirst) {
  // 60 rescored tokens through 2 of 10 layers = 120 of 1000 layer-tokens; 250 - 120 = 130 pay 16 tokens in 8
  // layers.
  const PlanInput input = InputFor(Method::kKvDeviation);
  const auto plan = PlanRecompute(input);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->step, Step::kDeviation);
  EXPECT_EQ(plan->check_layer, kCheckLayer);
  EXPECT_EQ(BudgetTokens(plan->selection.budget, 100), 16);
  const auto charge = ChargeOf(*plan, Range(50, 66), input.context, 10);
  EXPECT_EQ(charge.fresh_layer_tokens, 120 + 8 * 16);
  EXPECT_LE(charge.ratio(), 0.25);
}

TEST(Planner, KvDeviationNeverChargesMoreThanAsked) {
  for (int percent = 12; percent < 100; ++percent) {
    const PlanInput input = InputFor(Method::kKvDeviation, percent / 100.0);
    const auto plan = PlanRecompute(input);
    ASSERT_TRUE(plan.ok()) << percent;
    const auto indices = Range(40, 40 + BudgetTokens(plan->selection.budget, 100));
    EXPECT_LE(ChargeOf(*plan, indices, input.context, 10).ratio(), percent / 100.0) << percent;
  }
}

TEST(Planner, ABudgetThatDoesNotPayForTheCheckLayersIsRefused) {
  const auto plan = PlanRecompute(InputFor(Method::kKvDeviation, 0.11));
  EXPECT_TRUE(absl::IsInvalidArgument(plan.status()));
  EXPECT_EQ(FieldOf(plan.status()), "options.budget");
}

TEST(Planner, ABudgetOutsideItsRangeIsRefused) {
  for (const double budget : {-0.1, 1.1}) {
    const auto plan = PlanRecompute(InputFor(Method::kPrimaryProbe, budget));
    EXPECT_EQ(FieldOf(plan.status()), "options.budget");
  }
}

TEST(Planner, ASelectorsAnswerIsCheckedBeforeItIsTrusted) {
  const ContextMap context{{40, 30, 30}};
  const SelectionOptions selection{.budget = 0.03};
  const auto check = [&](int32_t count, std::vector<int32_t> indices) {
    return CheckSelected(context, selection, count, indices).ok();
  };
  EXPECT_TRUE(check(100, {40, 41, 99}));
  EXPECT_TRUE(check(100, {}));
  EXPECT_FALSE(check(99, {40}));       // another context
  EXPECT_FALSE(check(100, {39}));      // first chunk
  EXPECT_FALSE(check(100, {50, 50}));  // twice
  EXPECT_FALSE(check(100, {51, 50}));  // unsorted
  EXPECT_FALSE(check(100, {100}));     // out of range
  EXPECT_FALSE(check(100, {-1}));
  EXPECT_FALSE(check(100, {50, 51, 52, 53}));  // over the budget
}

}  // namespace
}  // namespace cacheclip
