#include "services/evaluation/tune.h"

#include <gtest/gtest.h>

#include <iterator>
#include <vector>

#include "common/base/status.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {
namespace {

class TuneTest : public testing::Test {
 protected:
  TuneTest() {
    config_.model = WriteTinyModel(folder_.path() + "/model");
    config_.dtype = "fp32";
  }
  TempFolder folder_;
  Config config_;
  const TuneOptions options_{.tasks = "niah_single_2,seam",
                             .num_samples = 4,
                             .shape = {.context_tokens = 200, .chunk_tokens = 50},
                             .budget = 0.2};
};

TEST_F(TuneTest, FindsHeadsOfTheLayersThatAreLoaded) {
  const auto evaluator = Evaluator::Open(config_).value();
  int num_reports = 0;
  const auto result = Tune(*evaluator, options_, [&](const EvalProgress&) { ++num_reports; });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(num_reports, 8);
  for (const TunedHeads& tuned : {result->auxiliary, result->probe}) {
    EXPECT_FALSE(tuned.heads.empty());
    EXPECT_LE(tuned.heads.size(), static_cast<size_t>(kMaxChosenHeads));
    EXPECT_GE(tuned.recall, 0);
    EXPECT_LE(tuned.recall, 1);
  }
  for (const HeadId& id : result->auxiliary.heads) EXPECT_LT(id.layer, 4) << "three quarters of six layers";
}

TEST_F(TuneTest, AnAuxiliaryOfAnotherTokenizerIsScoredInThePrimarysTokens) {
  config_.selector_model =
      WriteTinyModel(folder_.path() + "/auxiliary", {.family = "qwen3", .num_layers = 2, .seed = "other"});
  MakeByteTokenizer(config_.selector_model);
  const auto evaluator = Evaluator::Open(config_).value();
  const auto result = Tune(*evaluator, options_, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->auxiliary.heads.empty());
}

TEST_F(TuneTest, ChoosesTheCandidateWhoseAnswersAreClosestAndMeasuresIt) {
  const auto evaluator = Evaluator::Open(config_).value();
  MethodSpec none = evaluator->default_spec(), all = none;
  none.label = "none";
  none.method = Method::kNone;
  all.label = "all";
  all.method = Method::kFull;
  int num_reports = 0;
  const std::vector<MethodSpec> candidates = {none, all};
  const auto tuned =
      TuneAnswers(*evaluator, options_, candidates, [&](const EvalProgress&) { ++num_reports; });
  ASSERT_TRUE(tuned.ok()) << tuned.status();
  EXPECT_EQ(num_reports, 8);
  EXPECT_EQ(tuned->chosen, 1u);
  EXPECT_GT(tuned->candidate_kl[0], tuned->candidate_kl[1]);
  ASSERT_EQ(tuned->by_budget.size(), std::size(kTunedBudgets));
  for (const BudgetKl& at : tuned->by_budget) EXPECT_NEAR(at.kl, 0, 1e-6) << at.budget;
  EXPECT_EQ(tuned->divergence_per_stale_mass, std::nullopt) << "nobody scored";
}

TEST_F(TuneTest, CalibratesTheDivergenceOfAMethodThatScores) {
  const auto evaluator = Evaluator::Open(config_).value();
  MethodSpec spec = evaluator->default_spec();
  spec.label = "tuned";
  spec.method = Method::kAuto;
  const auto tuned = TuneAnswers(*evaluator, options_, {&spec, 1}, {});
  ASSERT_TRUE(tuned.ok()) << tuned.status();
  ASSERT_TRUE(tuned->divergence_per_stale_mass.has_value());
  EXPECT_GT(*tuned->divergence_per_stale_mass, 0);
}

TEST(BudgetFor, IsTheSmallestThatReachesTheTarget) {
  const std::vector<BudgetKl> by_budget = {{0.1, 0.05}, {0.2, 0.02}, {0.4, 0.02}};
  EXPECT_EQ(BudgetFor(0.06, by_budget), 0.1);
  EXPECT_EQ(BudgetFor(0.02, by_budget), 0.2);
  EXPECT_EQ(BudgetFor(0.01, by_budget), std::nullopt);
}

TEST_F(TuneTest, SaysThatThereAreTooFewSamples) {
  TuneOptions options = options_;
  options.num_samples = 1;
  const auto evaluator = Evaluator::Open(config_).value();
  EXPECT_EQ(FieldOf(Tune(*evaluator, options, {}).status()), "samples");
}

}  // namespace
}  // namespace cacheclip
