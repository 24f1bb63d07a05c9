// With a tiny random model: its answers are nonsense, but what must hold between methods holds for any model.
#include "services/evaluation/evaluator.h"

#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/select/divergence.h"

#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/services/evaluation/eval_task_harness.h"

namespace cacheclip {
namespace {

class EvaluatorTest : public testing::Test {
 protected:
  EvaluatorTest() {
    Config config;
    config.model = WriteTinyModel(folder_.path() + "/model");
    config.dtype = "fp32";
    evaluator_ = Evaluator::Open(config).value();
    prepared_ = evaluator_->Prepare(MakeTestSample("seam", 0, 1, {.context_tokens = 160, .chunk_tokens = 40}))
                    .value();
  }

  MethodOutcome Run(const std::string& method, double budget) {
    return evaluator_->Run(*prepared_, *ParseMethodSpec(method, {}), budget).value();
  }

  TempFolder folder_;
  std::unique_ptr<Evaluator> evaluator_;
  std::unique_ptr<PreparedSample> prepared_;
};

TEST_F(EvaluatorTest, FindsNoDifferenceBetweenFullPrefillAndEverythingRecomputed) {
  for (const MethodOutcome& outcome : {Run("full", 1), Run("auxiliary", 1)}) {
    EXPECT_NEAR(outcome.kl, 0, 1e-6);
    EXPECT_TRUE(outcome.same_answer);
    EXPECT_EQ(outcome.answer, prepared_->answer);
    EXPECT_EQ(outcome.top1_agreement, 1);
    EXPECT_EQ(outcome.charged_budget, 1);
  }
}

TEST_F(EvaluatorTest, SeesWhatStaleKvCosts) {
  const MethodOutcome none = Run("none", 0);
  EXPECT_GT(none.kl, 1e-6);
  EXPECT_EQ(none.recomputed_tokens, 0);
  for (const char* method : {"auxiliary", "auxiliary_paper", "primary_probe", "chunk_head", "random",
                             "primary_probe+layers=1-3"}) {
    const MethodOutcome outcome = Run(method, 0.5);
    EXPECT_LE(outcome.charged_budget, 0.5) << method;
    EXPECT_GT(outcome.seconds.at("recompute"), 0) << method;
  }
}

TEST_F(EvaluatorTest, ReusesChunksEncodedBehindSomethingElseOrLeftWhereTheyWere) {
  const double usual = Run("none", 0).kl;
  EXPECT_EQ(Run("none+behind=prefix+reposition=yes", 0).kl, usual);
  for (const char* method : {"none+behind=nothing", "none+behind=sink", "none+reposition=no"}) {
    const double other = Run(method, 0).kl;
    EXPECT_GT(other, 1e-6) << method;
    EXPECT_NE(other, usual) << method;
    EXPECT_EQ(Run(method, 0).kl, other) << method;
  }
  EXPECT_NEAR(Run("primary_probe+behind=nothing", 1).kl, 0, 1e-6) << "nothing of them is left";
}

TEST_F(EvaluatorTest, SpendsABudgetInStages) {
  const MethodOutcome usual = Run("primary_probe", 0.5);
  for (const char* method : {"primary_probe+rounds=2", "primary_probe+full=1", "primary_probe+shrink=0.5",
                             "primary_probe+offset=1"}) {
    const MethodOutcome outcome = Run(method, 0.5);
    EXPECT_LE(outcome.charged_budget, 0.5) << method;
    EXPECT_GT(outcome.charged_budget, 0.4) << method;
    EXPECT_GT(outcome.kl, 1e-6) << method;
    EXPECT_NE(outcome.kl, usual.kl) << method;
    EXPECT_TRUE(outcome.stale_mass_share.has_value()) << method;
    EXPECT_NEAR(Run(method, 1).kl, 0, 1e-6) << method;
  }
  EXPECT_EQ(Run("primary_probe+rounds=1+full=0+shrink=0+offset=0", 0.5).kl, usual.kl);
  EXPECT_LT(Run("primary_probe+shrink=0.5", 0.5).recomputed_tokens, usual.recomputed_tokens)
      << "the last pass recomputes what is left in the upper layers";
}

TEST_F(EvaluatorTest, RefusesFullLayersThatTheBudgetDoesNotPayFor) {
  const absl::Status status =
      evaluator_->Run(*prepared_, *ParseMethodSpec("primary_probe+full=2", {}), 0.05).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(status), "budgets");
}

TEST_F(EvaluatorTest, EstimatesTheKlOfMethodsThatScore) {
  EXPECT_EQ(Run("full", 1).estimated_kl, 0);
  EXPECT_FALSE(Run("none", 0).estimated_kl.has_value());
  for (const char* method : {"auxiliary", "auxiliary_paper", "primary_probe"}) {
    const MethodOutcome outcome = Run(method, 0.3);
    ASSERT_TRUE(outcome.stale_mass_share.has_value()) << method;
    EXPECT_GT(*outcome.stale_mass_share, 0) << method;
    EXPECT_DOUBLE_EQ(outcome.estimated_kl.value(), kDefaultDivergencePerStaleMass * *outcome.stale_mass_share)
        << method;
  }
}

TEST_F(EvaluatorTest, DecodesTheMethodsOwnAnswerWhereItDiffers) {
  const MethodOutcome none = Run("none", 0);
  EXPECT_EQ(none.same_answer, none.answer == prepared_->answer);
  EXPECT_EQ(Run("none", 0).answer, none.answer) << "greedy";
  EXPECT_EQ(none.score, ScoreAnswer(prepared_->sample, none.answer));
}

TEST_F(EvaluatorTest, KnowsTheTokensOfTheEvidence) {
  const std::vector<int32_t> indices = evaluator_->EvidenceTokens(*prepared_);
  ASSERT_FALSE(indices.empty());
  std::vector<int32_t> context;
  for (const auto& chunk : prepared_->prompt.tokens.chunk_ids)
    context.insert(context.end(), chunk.begin(), chunk.end());
  EXPECT_GE(indices.front(), static_cast<int32_t>(prepared_->prompt.tokens.chunk_ids[0].size()));
  EXPECT_TRUE(std::ranges::is_sorted(indices));
  EXPECT_LT(indices.back(), static_cast<int32_t>(context.size()));
}

TEST(Evaluator, LeavesNothingBehind) {
  TempFolder folder;
  const std::string model = WriteTinyModel(folder.path() + "/model");
  const auto count = [] {
    int number = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::temp_directory_path()))
      number += entry.path().filename().string().starts_with("cacheclip_eval_") ? 1 : 0;
    return number;
  };
  const int before = count();
  Config config;
  config.model = model;
  ASSERT_TRUE(Evaluator::Open(config).ok());
  EXPECT_LE(count(), before);
}

}  // namespace
}  // namespace cacheclip
