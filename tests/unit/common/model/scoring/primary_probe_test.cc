#include <gtest/gtest.h>

#include "common/model/kv_cache.h"
#include "common/model/scoring/scoring.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"

namespace cacheclip {
namespace {

class PrimaryProbe : public testing::Test {
 protected:
  std::vector<float> Score(const PromptTokens& prompt, LayerBand band, RowPooling rows = RowPooling::kMean) {
    auto scores = ScoreByPrimaryProbe(*Assemble(model_, prompt), prompt, {.band = band, .rows = rows});
    EXPECT_TRUE(scores.ok()) << scores.status();
    return *scores;
  }
  TempFolder folder_;
  std::shared_ptr<const LanguageModel> model_ = LoadTinyModel(folder_.path());
  PromptTokens prompt_ = TestPrompt({20, 15, 30});
};

TEST_F(PrimaryProbe, MassIsAShareOfOne) {
  for (LayerBand band : {LayerBand{0, 1}, LayerBand{2, 4}, LayerBand{5, 6}, LayerBand{0, 6}}) {
    const std::vector<float> scores = Score(prompt_, band);
    ASSERT_EQ(scores.size(), 65u);
    for (float score : scores) EXPECT_GE(score, 0);
    EXPECT_GT(Sum(scores), 0);
    EXPECT_LT(Sum(scores), 1);  // prefix and question take the rest
  }
}

TEST_F(PrimaryProbe, MaximumOverRowsIsBetweenTheirMeanAndTheirSum) {
  const std::vector<float> mean = Score(prompt_, {2, 4}), most = Score(prompt_, {2, 4}, RowPooling::kMax);
  const auto num_rows = static_cast<float>(prompt_.question_end - prompt_.question_begin);
  for (size_t i = 0; i < mean.size(); ++i) {
    EXPECT_GE(most[i], mean[i] - 1e-7f);
    EXPECT_LE(most[i], mean[i] * num_rows + 1e-7f);
  }
}

TEST_F(PrimaryProbe, FirstChunkIsScoredToo) {  // leaving it out is the selection's business
  const std::vector<float> scores = Score(prompt_, {2, 4});
  EXPECT_GT(Sum(std::span(scores).first(20)), 0);
}

TEST_F(PrimaryProbe, BandIsTheMeanOfItsLayers) {
  const std::vector<float> both = Score(prompt_, {2, 4}), one = Score(prompt_, {2, 3}),
                           other = Score(prompt_, {3, 4});
  for (size_t i = 0; i < both.size(); ++i) EXPECT_NEAR(both[i], (one[i] + other[i]) / 2, 1e-6);
}

TEST_F(PrimaryProbe, HeadsApartAddUpToTheBand) {
  const auto session = Assemble(model_, prompt_);
  const auto heads = ScoreHeadsByPrimaryProbe(*session, prompt_, {2, 4});
  ASSERT_TRUE(heads.ok()) << heads.status();
  ASSERT_EQ(heads->size(), 8u);
  const std::vector<float> band = Score(prompt_, {2, 4});
  for (size_t i = 0; i < band.size(); ++i) {
    float sum = 0;
    for (const HeadScores& head : *heads) sum += head.scores[i];
    EXPECT_NEAR(sum / 8, band[i], 1e-6);
  }
}

TEST_F(PrimaryProbe, ListedHeadsIgnoreTheBand) {
  const auto listed = ScoreByPrimaryProbe(*Assemble(model_, prompt_), prompt_,
                                          {.heads = {{2, 1}, {3, 0}}, .rows = RowPooling::kMean});
  ASSERT_TRUE(listed.ok()) << listed.status();
  const auto heads = ScoreHeadsByPrimaryProbe(*Assemble(model_, prompt_), prompt_, {2, 4}).value();
  for (size_t i = 0; i < listed->size(); ++i)
    EXPECT_NEAR((*listed)[i], heads[1].scores[i] + heads[4].scores[i], 1e-6);
}

TEST_F(PrimaryProbe, TokensBehindTheQuestionDoNotScore) {
  PromptTokens other = prompt_;
  for (size_t i = 8; i < other.suffix_ids.size(); ++i) other.suffix_ids[i] = 3;
  EXPECT_LT(MaxDifference(Score(prompt_, {2, 4}), Score(other, {2, 4})), 1e-7);
  other.suffix_ids[4] = 3;
  EXPECT_GT(MaxDifference(Score(prompt_, {2, 4}), Score(other, {2, 4})), 1e-6);
}

TEST_F(PrimaryProbe, LeavesTheContextAndTheAnswerAsTheyWere) {
  const auto session = Assemble(model_, prompt_), probed = Assemble(model_, prompt_);
  ASSERT_TRUE(ScoreByPrimaryProbe(*probed, prompt_, {.band = {2, 4}}).ok());
  for (int layer = 0; layer < 6; ++layer)
    EXPECT_TRUE(probed->cache().Keys(layer, 0, 74).equal(session->cache().Keys(layer, 0, 74))) << layer;
  const Rows rows = SelectiveRows(prompt_, std::vector<int32_t>{25, 26});
  EXPECT_EQ(probed->Run(rows).value(), session->Run(rows).value());
}

TEST_F(PrimaryProbe, BandOutsideTheModelIsRefused) {
  const auto session = Assemble(model_, prompt_);
  for (LayerBand band : {LayerBand{3, 2}, LayerBand{-1, 2}, LayerBand{5, 7}})
    EXPECT_EQ(ScoreByPrimaryProbe(*session, prompt_, {.band = band}).status().code(),
              absl::StatusCode::kInvalidArgument);
}

TEST_F(PrimaryProbe, PromptWithoutQuestionIsRefused) {
  const auto session = Assemble(model_, prompt_);
  prompt_.question_end = prompt_.question_begin;
  EXPECT_EQ(ScoreByPrimaryProbe(*session, prompt_, {.band = {2, 4}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(PrimaryProbe, SessionTooSmallForTheQuestionIsRefused) {
  const auto session =
      InferenceSession::Create(model_, prompt_.suffix_begin() + prompt_.question_end - 1).value();
  EXPECT_EQ(ScoreByPrimaryProbe(*session, prompt_, {.band = {2, 4}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(PrimaryProbe, CancellationStopsIt) {
  const auto session = Assemble(model_, prompt_);
  EXPECT_EQ(ScoreByPrimaryProbe(*session, prompt_, {.band = {2, 4}}, CancelledToken()).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(DefaultScoringBand, IsTheThirdQuarterAndNeverEmpty) {
  const auto band = [](int layers) {
    return std::pair(DefaultScoringBand(layers).begin, DefaultScoringBand(layers).end);
  };
  EXPECT_EQ(band(30), std::pair(15, 22));
  EXPECT_EQ(band(24), std::pair(12, 18));
  EXPECT_EQ(band(2), std::pair(1, 2));
  EXPECT_EQ(band(1), std::pair(0, 1));
}

}  // namespace
}  // namespace cacheclip
