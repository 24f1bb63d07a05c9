#include "services/evaluation/tune.h"

#include <gtest/gtest.h>

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

TEST_F(TuneTest, CalibratesTheDivergenceOfAMethodThatScores) {
  const auto evaluator = Evaluator::Open(config_).value();
  MethodSpec spec = evaluator->default_spec();
  spec.label = "tuned";
  spec.method = Method::kAuto;
  int num_reports = 0;
  const auto divergence =
      CalibrateDivergence(*evaluator, options_, spec, [&](const EvalProgress&) { ++num_reports; });
  ASSERT_TRUE(divergence.ok()) << divergence.status();
  ASSERT_TRUE(divergence->has_value());
  EXPECT_GT(**divergence, 0);
  EXPECT_EQ(num_reports, 4) << "the samples that judge";
  spec.method = Method::kNone;
  EXPECT_EQ(CalibrateDivergence(*evaluator, options_, spec, {}).value(), std::nullopt);
}

TEST_F(TuneTest, SaysThatThereAreTooFewSamples) {
  TuneOptions options = options_;
  options.num_samples = 1;
  const auto evaluator = Evaluator::Open(config_).value();
  EXPECT_EQ(FieldOf(Tune(*evaluator, options, {}).status()), "samples");
}

}  // namespace
}  // namespace cacheclip
