#include "common/select/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "common/base/status.h"

namespace cacheclip {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsSupersetOf;

std::vector<int32_t> Chosen(const ContextMap& map, const std::vector<float>& scores,
                            const SelectionOptions& options,
                            const std::vector<int32_t>& segment_begins = {}) {
  return Select(map, scores, options, segment_begins).value().indices;
}

std::vector<float> Flat(const ContextMap& map, float value) {
  return std::vector<float>(map.num_tokens(), value);
}

TEST(Window, KeepsIsolatedStrongToken) {
  const ContextMap map{{20, 80}};
  std::vector<float> scores = Flat(map, 0.001f);
  for (int i = 40; i < 48; ++i) scores[i] = 1.0f;  // a phrase
  scores[77] = 5.0f;                               // one strong token far away
  const std::vector<int32_t> chosen = Chosen(map, scores, {.budget = 0.16});
  EXPECT_EQ(chosen.size(), 16u);
  EXPECT_THAT(chosen, Contains(77));
  EXPECT_THAT(chosen, Contains(44));
}

TEST(Window, BringsTheNeighboursOfTheStrongToken) {
  const ContextMap map{{10, 90}};
  std::vector<float> scores = Flat(map, 0.0f);
  scores[50] = 1.0f;
  scores[53] = 0.5f;
  EXPECT_THAT(Chosen(map, scores, {.budget = 0.08}), ElementsAre(46, 47, 48, 49, 50, 51, 52, 53));
}

TEST(Follow, CreditsWhatStandsBehindAStrongTokenWithinItsChunk) {
  const ContextMap map{{10, 10, 10}};
  std::vector<float> scores = Flat(map, 0.0f);
  scores[18] = 1.0f;
  SelectionOptions options{.budget = 0.1, .grouping = Grouping::kTokens, .follow = 0.5};
  EXPECT_THAT(Chosen(map, scores, options), ElementsAre(10, 18, 19)) << "ends with the chunk";
  scores[18] = 0.0f;
  scores[13] = 1.0f;
  EXPECT_THAT(Chosen(map, scores, options), ElementsAre(13, 14, 15));
}

TEST(Coverage, SpendsLessWhereTheMassIsConcentrated) {
  const ContextMap map{{10, 90}};
  std::vector<float> scores = Flat(map, 0.001f);
  for (int i = 50; i < 58; ++i) scores[i] = 1.0f;
  EXPECT_THAT(Chosen(map, scores, {.budget = 0.5, .coverage = 0.9}),
              ElementsAre(50, 51, 52, 53, 54, 55, 56, 57));
}

TEST(Coverage, NeverSpendsMoreThanTheBudget) {
  const ContextMap map{{10, 90}};
  EXPECT_EQ(Chosen(map, Flat(map, 1.0f), {.budget = 0.2, .coverage = 0.9}).size(), 20u);
}

TEST(Coverage, SpendsNothingOnChunksThatTheQuestionDoesNotLookAt) {
  const ContextMap map{{10, 30, 30, 30}};
  std::vector<float> scores = Flat(map, 0.001f);
  for (int i = 50; i < 58; ++i) scores[i] = 1.0f;
  const SelectionOptions options{.budget = 0.5, .seam_tokens = 2, .coverage = 0.9};
  EXPECT_THAT(Chosen(map, scores, options), ElementsAre(40, 41, 50, 51, 52, 53, 54, 55, 56, 57));
}

TEST(Coverage, SpendsNothingWhereThereIsNoMass) {
  const ContextMap map{{10, 90}};
  EXPECT_TRUE(Chosen(map, Flat(map, 0.0f), {.budget = 0.5, .seam_tokens = 4, .coverage = 0.9}).empty());
}

TEST(Coverage, KeepsTheBudgetWithSeamsInside) {
  const ContextMap map{{10, 20, 20, 20}};
  for (const Grouping grouping : {Grouping::kBudgetExactWindows, Grouping::kPaperWindows, Grouping::kTokens,
                                  Grouping::kSegments, Grouping::kWindowsThenSegments}) {
    const SelectionOptions options{.budget = 0.2, .seam_tokens = 4, .grouping = grouping, .coverage = 0.99};
    EXPECT_LE(Chosen(map, Flat(map, 1.0f), options).size(), 14u);
  }
}

TEST(Coverage, TakesMoreTheMoreItIsToHold) {
  const ContextMap map{{10, 90}};
  std::vector<float> scores = Flat(map, 0.0f);
  for (int i = 10; i < 100; ++i) scores[i] = static_cast<float>(i);
  size_t before = 0;
  for (const double coverage : {0.1, 0.3, 0.5, 0.7}) {
    const size_t size = Chosen(map, scores, {.budget = 0.9, .coverage = coverage}).size();
    EXPECT_GT(size, before) << coverage;
    before = size;
  }
}

TEST(Window, NeverCrossesAChunkEnd) {
  const ContextMap map{{8, 8, 8}};
  std::vector<float> scores = Flat(map, 0.0f);
  scores[15] = 1.0f;  // the last token of the second chunk
  EXPECT_THAT(Chosen(map, scores, {.budget = 8.0 / 24}), ElementsAre(8, 9, 10, 11, 12, 13, 14, 15));
}

TEST(Window, LastOneIsCutToItsBestPart) {
  const ContextMap map{{10, 90}};
  std::vector<float> scores = Flat(map, 0.0f);
  for (int i = 50; i < 58; ++i) scores[i] = 1.0f;
  scores[52] = scores[53] = scores[54] = 2.0f;
  EXPECT_THAT(Chosen(map, scores, {.budget = 0.03}), ElementsAre(52, 53, 54));
}

TEST(Window, ChunkShorterThanTheWindowIsOneWindow) {
  const ContextMap map{{4, 3, 13}};
  std::vector<float> scores = Flat(map, 0.1f);
  scores[5] = 9.0f;
  EXPECT_THAT(Chosen(map, scores, {.budget = 0.15}), ElementsAre(4, 5, 6));
}

TEST(FirstChunk, IsNeverSelectedBelowFullBudget) {
  const ContextMap map{{10, 10}};
  std::vector<float> scores = Flat(map, 0.0f);
  for (int i = 0; i < 10; ++i) scores[i] = 100.0f;
  EXPECT_THAT(Chosen(map, scores, {.budget = 0.2}), testing::Each(testing::Ge(10)));
  EXPECT_EQ(Chosen(map, scores, {.budget = 0.99}).size(), 10u);  // all that may be chosen
  EXPECT_EQ(Chosen(map, scores, {.budget = 1.0}).size(), 20u);
}

TEST(FirstChunk, BehindAForeignPrefixIsLikeAnyOther) {
  const ContextMap map{{10, 10}};
  std::vector<float> scores = Flat(map, 0.0f);
  scores[3] = 1.0f;
  EXPECT_THAT(Chosen(map, scores, {.budget = 0.05, .first_chunk_selectable = true}), ElementsAre(3));
}

TEST(FirstChunk, ScoresThereAreNotRead) {
  const ContextMap map{{2, 8}};
  std::vector<float> scores = Flat(map, 0.5f);
  scores[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(Select(map, scores, {.budget = 0.5}).ok());
}

TEST(Seam, TokensAreTakenInsideTheBudget) {
  const ContextMap map{{20, 40, 40}};
  std::vector<float> scores = Flat(map, 0.0f);
  for (int i = 30; i < 40; ++i) scores[i] = 1.0f;
  const std::vector<int32_t> chosen = Chosen(map, scores, {.budget = 0.12, .seam_tokens = 2});
  EXPECT_THAT(chosen, IsSupersetOf({30, 31, 32, 33, 34, 35, 36, 37}));
  EXPECT_EQ(chosen.size(), 12u);
  for (const int32_t seam : {20, 21, 60, 61}) EXPECT_THAT(chosen, Contains(seam));
  EXPECT_EQ(Chosen(map, scores, {.budget = 0.03, .seam_tokens = 8}).size(), 3u);
}

TEST(Seam, TakesHalfOfTheBudgetAtMost) {
  const ContextMap map{{20, 40, 40}};
  std::vector<float> scores = Flat(map, 0.0f);
  for (int i = 30; i < 40; ++i) scores[i] = 1.0f;
  const std::vector<int32_t> chosen = Chosen(map, scores, {.budget = 0.2, .seam_tokens = 16});
  EXPECT_EQ(chosen.size(), 20u);
  EXPECT_THAT(chosen, IsSupersetOf({20, 21, 22, 23, 24, 60, 61, 62, 63, 64}));
  EXPECT_THAT(chosen, IsSupersetOf({30, 31, 32, 33, 34, 35, 36, 37, 38, 39}));
}

TEST(PaperGrouping, TakesWholeWindowsAroundDenseCandidatesAndDropsSparseOnes) {
  const ContextMap map{{20, 80}};
  std::vector<float> scores = Flat(map, 0.0f);
  for (const int i : {40, 41, 43, 44, 46}) scores[i] = 1.0f;  // 5 of 8: a window
  for (const int i : {60, 70, 80, 90}) scores[i] = 2.0f;      // alone: dropped
  const RecomputeSet set = Select(map, scores, {.budget = 0.09, .grouping = Grouping::kPaperWindows}).value();
  EXPECT_THAT(set.indices,
              ElementsAre(39, 40, 41, 42, 43, 44, 45, 46, 47));  // both windows that hold all five, cut to 9
  EXPECT_THAT(set.indices, testing::Not(Contains(60)));
}

TEST(PaperGrouping, RealisedRatioMayStayBelowTheNominal) {
  const ContextMap map{{20, 80}};
  std::vector<float> scores = Flat(map, 0.0f);
  for (int i = 25; i < 100; i += 10) scores[i] = 1.0f;
  const RecomputeSet set = Select(map, scores, {.budget = 0.08, .grouping = Grouping::kPaperWindows}).value();
  EXPECT_EQ(set.realised_ratio(), 0.0);
}

TEST(Tokens, TakesTheBestOnesAlone) {
  const ContextMap map{{2, 8}};
  EXPECT_THAT(Chosen(map, {9, 9, 0, 3, 0, 1, 0, 2, 0, 3}, {.budget = 0.3, .grouping = Grouping::kTokens}),
              ElementsAre(3, 7, 9));
}

TEST(Segments, BestMeanGoesFirstAndTheLastIsCut) {
  const ContextMap map{{2, 10}};
  const std::vector<float> scores = {0, 0, 1, 1, 1, 4, 4, 2, 1, 3, 1, 0};
  // segments [2,5) mean 1, [5,7) mean 4, [7,12) mean 1.4
  EXPECT_THAT(Chosen(map, scores, {.budget = 4.0 / 12, .grouping = Grouping::kSegments}, {0, 2, 5, 7}),
              ElementsAre(5, 6, 8, 9));
}

TEST(Segments, AChunkEndIsAlwaysABorder) {
  const ContextMap map{{1, 4, 4}};
  const std::vector<float> scores = {0, 1, 1, 1, 1, 2, 2, 2, 2};
  EXPECT_THAT(Chosen(map, scores, {.budget = 4.0 / 9, .grouping = Grouping::kSegments}, {}),
              ElementsAre(5, 6, 7, 8));
}

TEST(WindowsThenSegments, TheFirstHalfGoesToTheBestWindowsTheRestToTheBestSegments) {
  const ContextMap map{{2, 12}};
  const std::vector<float> scores = {0, 0, 9, 0, 0, 8, 1, 0, 0, 0, 4, 4, 4, 0};
  // Windows of 1: 2 and 5. Of the segments, [10,13) has the best mean.
  const SelectionOptions options{
      .budget = 5.0 / 14, .grouping = Grouping::kWindowsThenSegments, .window = 1, .paper_min_candidates = 1};
  EXPECT_THAT(Chosen(map, scores, options, {2, 5, 10, 13}), ElementsAre(2, 5, 10, 11, 12));
}

// A question attends to the words it shares with a sentence; the answer in it may have no score at all.
TEST(WindowsThenSegments, ASentenceOfWhichTheWindowTookTheBestIsCompletedFirst) {
  const ContextMap map{{2, 12}};
  const std::vector<float> scores = {0, 0, 1, 1, 1, 1, 0, 9, 9, 0, 0, 0, 2, 2};
  // The window takes 7 and 8 of segment [6,12), whose mean is 3; what it leaves of it scores nothing.
  const SelectionOptions options{
      .budget = 6.0 / 14, .grouping = Grouping::kWindowsThenSegments, .window = 2, .paper_min_candidates = 1};
  EXPECT_THAT(Chosen(map, scores, options, {2, 6, 12}), ElementsAre(6, 7, 8, 9, 12, 13));
}

TEST(Select, BadInputIsRefusedByField) {
  const ContextMap map{{2, 4}};
  std::vector<float> scores = Flat(map, 1.0f);
  EXPECT_EQ(FieldOf(Select(map, std::vector<float>(5), {}).status()), "scores");
  EXPECT_EQ(FieldOf(Select(ContextMap{{-1}}, {}, {}).status()), "chunks");
  EXPECT_EQ(FieldOf(Select(map, scores, {.budget = 1.5}).status()), "options.budget");
  const std::vector<int32_t> unsorted = {3, 2};
  EXPECT_EQ(FieldOf(Select(map, scores, {.grouping = Grouping::kSegments}, unsorted).status()),
            "segment_begins");
  scores[4] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(FieldOf(Select(map, scores, {}).status()), "scores");
  scores[4] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(FieldOf(Select(map, scores, {}).status()), "scores");
}

}  // namespace
}  // namespace cacheclip
