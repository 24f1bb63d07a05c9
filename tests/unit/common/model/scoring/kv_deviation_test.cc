#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>

#include "common/model/kv_cache.h"
#include "common/model/scoring/scoring.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"

namespace cacheclip {
namespace {

double MaxAbs(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

class KvDeviation : public testing::Test {
 protected:
  TempFolder folder_;
  std::shared_ptr<const LanguageModel> model_ = LoadTinyModel(folder_.path());
  PromptTokens prompt_ = TestPrompt({20, 15, 30});
  std::unique_ptr<InferenceSession> session_ = Assemble(model_, prompt_);
};

TEST_F(KvDeviation, FirstChunkScoresZeroAndTheOthersDeviate) {
  const auto scores = ScoreByKvDeviation(*session_, prompt_, 2).value();
  ASSERT_EQ(scores.size(), 65u);
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(scores[i], 0);
  for (size_t i = 20; i < 65; ++i) EXPECT_GT(scores[i], 1e-3) << i;
}

TEST_F(KvDeviation, LayerZeroDoesNotDependOnTheContext) {
  const std::vector<float> scores = ScoreByKvDeviation(*session_, prompt_, 0).value();
  for (float score : scores) EXPECT_LT(score, 1e-4);
}

TEST_F(KvDeviation, IsTheDistanceOfFreshFromStaleKeysAndValues) {
  const at::Tensor keys = session_->cache().Keys(2, 29, 74), values = session_->cache().Values(2, 29, 74);
  const auto scores = ScoreByKvDeviation(*session_, prompt_, 2).value();
  const at::Tensor squared = (session_->cache().Keys(2, 29, 74) - keys).pow(2).sum({0, 2}) +
                             (session_->cache().Values(2, 29, 74) - values).pow(2).sum({0, 2});
  for (int64_t i = 0; i < 45; ++i)
    EXPECT_NEAR(scores[static_cast<size_t>(20 + i)], std::sqrt(squared[i].item<double>()), 1e-3);
}

TEST_F(KvDeviation, LeavesFreshKvInTheCheckedLayersAndStaleKvAbove) {
  const auto full = InferenceSession::Create(model_, prompt_.size()).value();
  ASSERT_TRUE(full->Run(FullRows(prompt_)).ok());
  const auto stale = Assemble(model_, prompt_);
  ASSERT_TRUE(ScoreByKvDeviation(*session_, prompt_, 2).ok());
  for (int layer = 0; layer <= 2; ++layer) {
    EXPECT_LT(MaxAbs(session_->cache().Keys(layer, 0, 74) - full->cache().Keys(layer, 0, 74)), 1e-4) << layer;
    EXPECT_LT(MaxAbs(session_->cache().Values(layer, 0, 74) - full->cache().Values(layer, 0, 74)), 1e-4)
        << layer;
  }
  for (int layer = 3; layer < 6; ++layer)
    EXPECT_TRUE(session_->cache().Keys(layer, 0, 74).equal(stale->cache().Keys(layer, 0, 74))) << layer;
}

TEST_F(KvDeviation, OneChunkHasNothingToCompare) {
  const PromptTokens prompt = TestPrompt({12});
  const auto session = Assemble(model_, prompt);
  EXPECT_EQ(ScoreByKvDeviation(*session, prompt, 2).value(), std::vector<float>(12, 0.0f));
}

TEST_F(KvDeviation, LayerOutsideTheModelIsRefused) {
  for (int layer : {-1, 6})
    EXPECT_EQ(ScoreByKvDeviation(*session_, prompt_, layer).status().code(),
              absl::StatusCode::kInvalidArgument);
}

TEST_F(KvDeviation, SessionTooSmallForTheChunksIsRefused) {
  const auto session = InferenceSession::Create(model_, prompt_.suffix_begin() - 1).value();
  EXPECT_EQ(ScoreByKvDeviation(*session, prompt_, 2).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(KvDeviation, CancellationStopsIt) {
  EXPECT_EQ(ScoreByKvDeviation(*session_, prompt_, 2, CancelledToken()).status().code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace cacheclip
