#include "common/model/reference_model.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"

namespace cacheclip {
namespace {

class ReferenceModel : public testing::Test {
 protected:
  TempFolder folder_;
  std::string directory_ = WriteTinyModel(folder_.path(), {.num_layers = 2, .with_tokenizer = false});
  ModelConfig config_ = LoadModelConfig(directory_).value();
  Checkpoint checkpoint_ = Checkpoint::Open(directory_).value();
};

TEST_F(ReferenceModel, IsCausal) {
  const std::vector<int32_t> ids = TestIds(8, 1);
  const auto all = ReferenceLogits(checkpoint_, config_, ids).value();
  const auto first = ReferenceLogits(checkpoint_, config_, std::span(ids).first(5)).value();
  ASSERT_EQ(all.size(), 8u);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i], all[i]);
}

TEST_F(ReferenceModel, OneTokenAttendsToItselfAlone) {
  // Whatever the frequencies: position 0 is not rotated, and a softmax over one score is 1.
  const auto plain = ReferenceLogits(checkpoint_, config_, std::vector<int32_t>{7}).value();
  config_.rope.theta = 123.0;
  EXPECT_EQ(ReferenceLogits(checkpoint_, config_, std::vector<int32_t>{7}).value(), plain);
}

TEST_F(ReferenceModel, OrderOfTokensMatters) {
  const auto one = ReferenceLogits(checkpoint_, config_, std::vector<int32_t>{7, 8, 9}).value();
  const auto other = ReferenceLogits(checkpoint_, config_, std::vector<int32_t>{8, 7, 9}).value();
  EXPECT_GT(MaxDifference(one.back(), other.back()), 1e-3);
}

TEST_F(ReferenceModel, RefusesWhatItCannotRun) {
  const auto code = [&](const std::vector<int32_t>& ids) {
    return ReferenceLogits(checkpoint_, config_, ids).status().code();
  };
  EXPECT_EQ(code({1024}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({-1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::vector<int32_t>(kMaxReferenceTokens + 1, 3)), absl::StatusCode::kResourceExhausted);
  config_.num_layers = 3;
  EXPECT_EQ(code({1}), absl::StatusCode::kNotFound);
  config_.hidden_size = 64;
  EXPECT_EQ(code({1}), absl::StatusCode::kDataLoss);
}

TEST(ReferenceFrequencies, FollowTheDefinitions) {
  ModelConfig config{.head_dim = 8};
  EXPECT_DOUBLE_EQ(ReferenceFrequencies(config)[0], 1.0);
  EXPECT_NEAR(ReferenceFrequencies(config)[2], 0.01, 1e-15);
  config.rope.scaling = RopeScaling::kLinear;
  config.rope.factor = 4;
  EXPECT_DOUBLE_EQ(ReferenceFrequencies(config)[0], 0.25);
  config.rope = {.theta = 1e6, .scaling = RopeScaling::kLlama3, .factor = 8};
  EXPECT_DOUBLE_EQ(ReferenceFrequencies(config)[0], 1.0);                         // short waves stay
  EXPECT_NEAR(ReferenceFrequencies(config)[3], std::pow(1e6, -0.75) / 8, 1e-15);  // long waves are stretched
}

}  // namespace
}  // namespace cacheclip
