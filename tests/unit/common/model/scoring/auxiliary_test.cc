#include <gtest/gtest.h>

#include <algorithm>

#include "common/model/scoring/scoring.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"
#include "tests/unit/common/model/safetensors_file.h"

namespace cacheclip {
namespace {

constexpr AuxiliaryPass kPasses[] = {AuxiliaryPass::kAssembled, AuxiliaryPass::kParallel,
                                     AuxiliaryPass::kPerChunk};
constexpr ScoreNormalisation kNormalisations[] = {ScoreNormalisation::kJoint, ScoreNormalisation::kPerChunk};

class AuxiliaryScores : public testing::Test {
 protected:
  AuxiliaryInput Input(const std::vector<int>& lengths) const {
    EncodedPrompt encoded = Encode(model_, TestPrompt(lengths));
    return {.prefix = encoded.prefix, .chunks = std::move(encoded.chunks), .question_ids = TestIds(6, 3)};
  }
  std::vector<float> Score(const AuxiliaryInput& input, const AuxiliaryOptions& options) const {
    auto scores = ScoreByAuxiliary(model_, input, options);
    EXPECT_TRUE(scores.ok()) << scores.status();
    return *scores;
  }
  absl::StatusCode Code(const AuxiliaryInput& input, const AuxiliaryOptions& options) const {
    return ScoreByAuxiliary(model_, input, options).status().code();
  }
  TempFolder folder_;
  std::shared_ptr<const LanguageModel> model_ = LoadTinyModel(folder_.path());
  const AuxiliaryInput input_ = Input({20, 15, 30});
};

TEST_F(AuxiliaryScores, OneChunkScoresTheSameInEveryPass) {
  const AuxiliaryInput input = Input({25});
  for (ScoreNormalisation normalisation : kNormalisations)
    for (AuxiliaryPass pass : kPasses)
      EXPECT_LT(MaxDifference(Score(input, {.pass = kPasses[0], .normalisation = normalisation}),
                              Score(input, {.pass = pass, .normalisation = normalisation})),
                1e-6);
}

TEST_F(AuxiliaryScores, AssembledPassOfThePrimarySeesWhatItsProbeSees) {
  PromptTokens prompt = TestPrompt({20, 15, 30});
  prompt.suffix_ids = input_.question_ids;
  prompt.question_begin = 0;
  prompt.question_end = static_cast<int32_t>(prompt.suffix_ids.size());
  const auto probe = ScoreByPrimaryProbe(*Assemble(model_, prompt), prompt, {.band = {2, 4}});
  ASSERT_TRUE(probe.ok()) << probe.status();
  const AuxiliaryOptions options{.pass = AuxiliaryPass::kAssembled, .from = {.band = {2, 4}}};
  EXPECT_LT(MaxDifference(Score(input_, options), *probe), 1e-6);
}

TEST_F(AuxiliaryScores, PerChunkNormalisationGivesEachChunkTheSameMass) {
  for (AuxiliaryPass pass : kPasses) {
    const auto scores = Score(input_, {.pass = pass,
                                       .normalisation = ScoreNormalisation::kPerChunk,
                                       .from = {.band = {2, 3}, .rows = RowPooling::kMean}});
    ASSERT_EQ(scores.size(), 65u);
    for (auto [begin, length] : {std::pair<size_t, size_t>{0, 20}, {20, 15}, {35, 30}})
      EXPECT_NEAR(Sum(std::span(scores).subspan(begin, length)), 1, 1e-4);
  }
}

TEST_F(AuxiliaryScores, JointNormalisationSharesOneMass) {
  for (AuxiliaryPass pass : kPasses) {
    const auto scores = Score(input_, {.pass = pass, .from = {.band = {2, 3}, .rows = RowPooling::kMean}});
    EXPECT_GT(Sum(scores), 0);
    EXPECT_LT(Sum(scores), 1);
  }
}

TEST_F(AuxiliaryScores, PerChunkPassesIgnoreTheOtherChunksUpToNormalisation) {
  const AuxiliaryOptions options{.pass = AuxiliaryPass::kPerChunk,
                                 .normalisation = ScoreNormalisation::kPerChunk};
  const auto all = Score(input_, options);
  AuxiliaryInput second = input_;
  second.chunks = {input_.chunks[1]};
  EXPECT_LT(MaxDifference(std::span(all).subspan(20, 15), Score(second, options)), 1e-6);
}

TEST_F(AuxiliaryScores, ParallelPassDoesNotPreferAnOrder) {
  AuxiliaryInput reversed = input_;
  std::reverse(reversed.chunks.begin(), reversed.chunks.end());
  const AuxiliaryOptions options{.pass = AuxiliaryPass::kParallel};
  const auto forth = Score(input_, options), back = Score(reversed, options);
  EXPECT_LT(MaxDifference(std::span(forth).first(20), std::span(back).last(20)), 1e-6);
  EXPECT_LT(MaxDifference(std::span(forth).last(30), std::span(back).first(30)), 1e-6);
}

TEST_F(AuxiliaryScores, TruncatedModelScoresAsTheFullOneOnItsLayers) {
  const TempFolder folder;
  const auto truncated = LoadTinyModel(folder.path(), {}, ComputeDtype::kFloat32, 4);
  for (AuxiliaryPass pass : kPasses) {
    const AuxiliaryOptions options{.pass = pass, .from = {.band = {2, 4}}};
    EXPECT_LT(MaxDifference(ScoreByAuxiliary(truncated, input_, options).value(), Score(input_, options)),
              1e-7);
  }
}

TEST_F(AuxiliaryScores, DefaultBandIsTheFullModelsCutToTheLoadedLayers) {
  const TempFolder folder;
  const auto truncated = LoadTinyModel(folder.path(), {}, ComputeDtype::kFloat32, 3);
  EXPECT_LT(MaxDifference(ScoreByAuxiliary(truncated, input_, {}).value(),
                          Score(input_, {.from = {.band = {2, 3}}})),
            1e-7);
  EXPECT_LT(MaxDifference(Score(input_, {}), Score(input_, {.from = {.band = {3, 4}}})), 1e-7);
}

TEST_F(AuxiliaryScores, ListOfAllHeadsOrdersTokensAsTheBandDoes) {
  AuxiliaryOptions heads;
  for (int layer : {2, 3})
    for (int head = 0; head < 4; ++head) heads.from.heads.push_back({layer, head});
  const auto listed = Score(input_, heads), band = Score(input_, {.from = {.band = {2, 4}}});
  const double factor = Sum(listed) / Sum(band);
  for (size_t i = 0; i < band.size(); ++i) EXPECT_NEAR(listed[i], factor * band[i], 1e-5);
}

TEST_F(AuxiliaryScores, ListedHeadsIgnoreTheBand) {
  EXPECT_EQ(Score(input_, {.from = {.band = {0, 1}, .heads = {{3, 1}}}}),
            Score(input_, {.from = {.heads = {{3, 1}}}}));
  EXPECT_GT(MaxDifference(Score(input_, {.from = {.heads = {{3, 1}}}}),
                          Score(input_, {.from = {.heads = {{3, 0}}}})),
            1e-6);
}

TEST_F(AuxiliaryScores, MaximumOverHeadsIsNoLessThanTheMean) {
  const auto mean = Score(input_, {.from = {.band = {2, 3}}}),
             top = Score(input_, {.from = {.band = {2, 3}, .pooling = HeadPooling::kMax}});
  for (size_t i = 0; i < mean.size(); ++i) EXPECT_GE(top[i], mean[i] - 1e-7f);
}

TEST_F(AuxiliaryScores, PaperOptionsAreAPassAndSoftmaxPerChunkOnTheLastLayer) {
  const AuxiliaryOptions options = PaperAuxiliaryOptions(*model_);
  EXPECT_EQ(options.pass, AuxiliaryPass::kPerChunk);
  EXPECT_EQ(options.normalisation, ScoreNormalisation::kPerChunk);
  EXPECT_EQ(options.from.pooling, HeadPooling::kMean);
  EXPECT_EQ(options.from.band.begin, 5);
  EXPECT_EQ(options.from.band.end, 6);
  EXPECT_NEAR(Sum(Score(input_, options)), 3, 1e-4);
}

TEST_F(AuxiliaryScores, HeadsApartAddUpToTheBand) {
  for (AuxiliaryPass pass : kPasses) {
    const AuxiliaryOptions options{.pass = pass, .from = {.band = {2, 4}, .rows = RowPooling::kMean}};
    const auto heads = ScoreHeadsByAuxiliary(model_, input_, options);
    ASSERT_TRUE(heads.ok()) << heads.status();
    ASSERT_EQ(heads->size(), 8u);
    EXPECT_EQ(heads->back().id.layer, 3);
    EXPECT_EQ(heads->back().id.head, 3);
    const auto band = Score(input_, options);
    for (size_t i = 0; i < band.size(); ++i) {
      float sum = 0;
      for (const HeadScores& head : *heads) sum += head.scores[i];
      EXPECT_NEAR(sum / 8, band[i], 1e-6);
    }
  }
}

TEST_F(AuxiliaryScores, WorksWithoutAPrefix) {
  PromptTokens prompt = TestPrompt({10, 12});
  prompt.prefix_ids.clear();
  const AuxiliaryInput input{
      .prefix = nullptr, .chunks = Encode(model_, prompt).chunks, .question_ids = TestIds(4, 3)};
  for (AuxiliaryPass pass : kPasses) EXPECT_EQ(Score(input, {.pass = pass}).size(), 22u);
}

TEST_F(AuxiliaryScores, NoChunksNoScores) { EXPECT_TRUE(Score({.question_ids = {5}}, {}).empty()); }

TEST_F(AuxiliaryScores, WhatCannotBeScoredIsRefused) {
  AuxiliaryInput silent = input_;
  silent.question_ids.clear();
  EXPECT_EQ(Code(silent, {}), absl::StatusCode::kInvalidArgument);
  for (LayerBand band : {LayerBand{-1, 2}, LayerBand{4, 3}, LayerBand{5, 7}})
    EXPECT_EQ(Code(input_, {.from = {.band = band}}), absl::StatusCode::kInvalidArgument) << band.begin;
  for (HeadId head : {HeadId{0, 4}, HeadId{0, -1}, HeadId{6, 0}, HeadId{-1, 0}})
    EXPECT_EQ(Code(input_, {.from = {.heads = {head}}}), absl::StatusCode::kInvalidArgument) << head.layer;
}

TEST_F(AuxiliaryScores, QuestionIdsOutsideTheVocabularyAreRefused) {
  AuxiliaryInput input = input_;
  for (int32_t id : {-1, 1024}) {
    input.question_ids = {5, id};
    EXPECT_EQ(Code(input, {}), absl::StatusCode::kInvalidArgument) << id;
  }
}

TEST_F(AuxiliaryScores, CancellationStopsThem) {
  for (AuxiliaryPass pass : kPasses)
    EXPECT_EQ(ScoreByAuxiliary(model_, input_, {.pass = pass}, CancelledToken()).status().code(),
              absl::StatusCode::kCancelled);
}

// Keys equal queries (one projection for both), so a question attends to its own token wherever it stands.
TEST(AuxiliaryRelevance, JointNormalisationTellsTheRelevantChunkPerChunkCannot) {
  const TempFolder folder;
  const nlohmann::json config = {{"model_type", "llama"},
                                 {"vocab_size", 64},
                                 {"hidden_size", 64},
                                 {"intermediate_size", 64},
                                 {"num_hidden_layers", 1},
                                 {"num_attention_heads", 1},
                                 {"num_key_value_heads", 1},
                                 {"head_dim", 64},
                                 {"max_position_embeddings", 64},
                                 {"rope_theta", 1e6},
                                 {"tie_word_embeddings", true}};
  WriteFormulaModel(folder.path(), config, FormulaTensors(config));
  CopyTensor(folder.path() + "/model.safetensors", "model.layers.0.self_attn.q_proj.weight",
             "model.layers.0.self_attn.k_proj.weight");
  const auto model =
      LanguageModel::Load({.directory = folder.path(), .dtype = ComputeDtype::kFloat32}).value();
  const PromptTokens prompt{.prefix_ids = {1, 2}, .chunk_ids = {{20, 21, 22, 23}, {30, 31, 9, 33}}};
  const EncodedPrompt encoded = Encode(model, prompt);
  const AuxiliaryInput input{.prefix = encoded.prefix, .chunks = encoded.chunks, .question_ids = {9}};
  for (AuxiliaryPass pass : kPasses) {
    const auto joint = ScoreByAuxiliary(model, input, {.pass = pass}).value();
    const auto alone =
        ScoreByAuxiliary(model, input, {.pass = pass, .normalisation = ScoreNormalisation::kPerChunk})
            .value();
    const double irrelevant = Sum(std::span(joint).first(4)), relevant = Sum(std::span(joint).last(4));
    EXPECT_GT(relevant, 2 * irrelevant);
    EXPECT_NEAR(Sum(std::span(alone).first(4)), Sum(std::span(alone).last(4)), 1e-5);
    EXPECT_LT(irrelevant, Sum(std::span(alone).first(4)));
    EXPECT_EQ(std::max_element(joint.begin(), joint.end()) - joint.begin(), 6);
  }
}

}  // namespace
}  // namespace cacheclip
