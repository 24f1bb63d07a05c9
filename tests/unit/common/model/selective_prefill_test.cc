// The gates of the method: what must hold exactly, on tiny models in fp32, and the fixtures of an independent
// prototype on the demo model.
#include <cmath>
#include <fstream>

#include <gtest/gtest.h>

#include "common/model/chunk_encoder.h"
#include "common/model/inference_session.h"
#include "common/model/scoring/scoring.h"
#include "tests/support/demo_model.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {
namespace {

using nlohmann::json;

double MaxDifference(const Logits& a, const Logits& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max<double>(worst, std::abs(a[i] - b[i]));
  return worst;
}

std::vector<double> LogSoftmax(const Logits& logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit - top);
  std::vector<double> result;
  for (float logit : logits) result.push_back(logit - top - std::log(sum));
  return result;
}

double KlDivergence(const Logits& from, const Logits& to) {
  const auto p = LogSoftmax(from), q = LogSoftmax(to);
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
  return sum;
}

// A session with prefix and chunks placed: the assembled stale cache.
std::unique_ptr<InferenceSession> Assemble(const std::shared_ptr<const LanguageModel>& model,
                                           const PromptTokens& prompt, int32_t room = 0,
                                           std::optional<KvDtype> kv_dtype = {}) {
  ChunkEncoder encoder(model, {.prefix_ids = prompt.prefix_ids, .kv_dtype = kv_dtype});
  auto session = *InferenceSession::Create(model, prompt.size() + room);
  if (!prompt.prefix_ids.empty()) {
    EXPECT_TRUE(session->Place(**encoder.EncodePrefix(0), 0, 0).ok());
  }
  int32_t slot = prompt.prefix_size();
  for (const auto& ids : prompt.chunk_ids) {
    EXPECT_TRUE(session->Place(**encoder.Encode(ids, {}, 0), slot, slot).ok());
    slot += static_cast<int32_t>(ids.size());
  }
  return session;
}

std::vector<int32_t> Ids(int count, int seed) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back((i * i * 31 + i * 7 + seed * 101) % 1000 + 3);
  return ids;
}

PromptTokens TinyPrompt(std::vector<int> chunk_lengths) {
  PromptTokens prompt{
      .prefix_ids = Ids(9, 1), .suffix_ids = Ids(12, 2), .question_begin = 2, .question_end = 8};
  for (size_t i = 0; i < chunk_lengths.size(); ++i)
    prompt.chunk_ids.push_back(Ids(chunk_lengths[i], 10 + static_cast<int>(i)));
  return prompt;
}

std::vector<int32_t> AllIndices(const PromptTokens& prompt) {
  std::vector<int32_t> indices;
  for (int32_t i = 0; i < prompt.context_size(); ++i) indices.push_back(i);
  return indices;
}

class Gates : public testing::TestWithParam<const char*> {
 protected:
  std::shared_ptr<const LanguageModel> LoadModel() {
    auto model = LanguageModel::Load(
        {.directory = WriteTinyModel(folder_.path(), {.family = GetParam(), .with_tokenizer = false}),
         .dtype = ComputeDtype::kFloat32});
    EXPECT_TRUE(model.ok()) << model.status();
    return *model;
  }
  TempFolder folder_;
  std::shared_ptr<const LanguageModel> model_ = LoadModel();
  Logits Full(const PromptTokens& prompt) {
    return *(*InferenceSession::Create(model_, prompt.size()))->Run(FullRows(prompt));
  }
};

TEST_P(Gates, FullRecomputeEqualsFullPrefillWhateverTheChunking) {
  for (const auto& lengths : {std::vector<int>{40, 25, 33}, {98}, {1, 2, 3, 92}, {49, 49}}) {
    const PromptTokens prompt = TinyPrompt(lengths);
    const Logits fused = *Assemble(model_, prompt)->Run(SelectiveRows(prompt, AllIndices(prompt)));
    EXPECT_LT(MaxDifference(fused, Full(prompt)), 1e-3);
  }
}

TEST_P(Gates, SingleChunkReusedInPlaceEqualsFullPrefill) {
  const PromptTokens prompt = TinyPrompt({70});
  EXPECT_LT(MaxDifference(*Assemble(model_, prompt)->Run(SelectiveRows(prompt, {})), Full(prompt)), 1e-4);
}

// What a chunk loses as int8 is all that differs here. Seen are up to 0.0018 over the four families; with
// random weights that is a gate against mistakes only. Fixtures below and docs/adr/0013-int8-kv.md have a
// real model.
TEST_P(Gates, SingleInt8ChunkReusedInPlaceIsNearFullPrefill) {
  const PromptTokens prompt = TinyPrompt({70});
  const Logits full = Full(prompt);
  const Logits reused = *Assemble(model_, prompt, 0, KvDtype::kInt8)->Run(SelectiveRows(prompt, {}));
  EXPECT_LT(KlDivergence(full, reused), 5e-3);
  EXPECT_GT(MaxDifference(full, reused), 0);
}

TEST_P(Gates, Int8ChunksFullyRecomputedEqualFullPrefill) {
  const PromptTokens prompt = TinyPrompt({40, 25, 33});
  const auto session = Assemble(model_, prompt, 0, KvDtype::kInt8);
  EXPECT_LT(MaxDifference(*session->Run(SelectiveRows(prompt, AllIndices(prompt))), Full(prompt)), 1e-3);
}

TEST_P(Gates, StaleChunksDifferFromFullPrefill) {  // else the other gates prove nothing
  const PromptTokens prompt = TinyPrompt({40, 25, 33});
  EXPECT_GT(MaxDifference(*Assemble(model_, prompt)->Run(SelectiveRows(prompt, {})), Full(prompt)), 1e-2);
}

TEST_P(Gates, OneFusedPassEqualsRecomputeThenQuestion) {
  const PromptTokens prompt = TinyPrompt({40, 25, 33});
  std::vector<int32_t> indices = {41, 42, 50, 66, 80, 97};
  const Logits fused = *Assemble(model_, prompt)->Run(SelectiveRows(prompt, indices));
  const auto session = Assemble(model_, prompt);
  Rows recompute = SelectiveRows(prompt, indices), question = SelectiveRows(prompt, {});
  recompute.ids.resize(indices.size());
  recompute.slots.resize(indices.size());
  recompute.positions.resize(indices.size());
  ASSERT_TRUE(session->Run(recompute).ok());
  EXPECT_LT(MaxDifference(*session->Run(question), fused), 1e-4);
}

TEST_P(Gates, DecodeContinuesAsPrefillOfTheLongerPromptWould) {
  PromptTokens prompt = TinyPrompt({40, 25});
  const auto session = *InferenceSession::Create(model_, prompt.size() + 2);
  ASSERT_TRUE(session->Run(FullRows(prompt)).ok());
  const Logits decoded = *session->Decode(77);
  prompt.suffix_ids.push_back(77);
  EXPECT_LT(MaxDifference(decoded, Full(prompt)), 1e-4);
}

TEST_P(Gates, CancelledRunStopsAtALayer) {
  const PromptTokens prompt = TinyPrompt({40});
  CancellationToken token;
  const auto session = *InferenceSession::Create(model_, prompt.size());
  int layers = 0;
  const auto result = session->Run(FullRows(prompt), token, {.before_layer = [&](int) {
                                     if (++layers == 2) token.Cancel();
                                     return absl::OkStatus();
                                   }});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(layers, 2);
}

INSTANTIATE_TEST_SUITE_P(Families, Gates, testing::Values("llama", "mistral", "qwen2", "qwen3"));

class Fixtures : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (const auto directory = DemoModelDirectory())
      model_ = *LanguageModel::Load({.directory = *directory, .dtype = ComputeDtype::kFloat32});
    std::ifstream file(CACHECLIP_SOURCE_DIR "/tests/data/selective_prefill_golden.json");
    golden_ = json::parse(file);
  }
  static void TearDownTestSuite() { model_ = nullptr; }
  void SetUp() override {
    if (model_ == nullptr) GTEST_SKIP() << kDemoModelMissing;
  }

  // The prototype's prompt; the answer is teacher-forced behind question and answer prefix.
  static PromptTokens PromptOf(const json& fixture) {
    PromptTokens prompt;
    const auto ids = fixture["ids"].get<std::vector<int32_t>>();
    auto at = ids.begin() + fixture["prefix_len"].get<int>();
    prompt.prefix_ids.assign(ids.begin(), at);
    for (int length : fixture["chunk_lens"]) {
      prompt.chunk_ids.emplace_back(at, at + length);
      at += length;
    }
    const auto question = fixture["question"].get<std::vector<int32_t>>();
    prompt.question_end = static_cast<int32_t>(question.size());
    for (const char* part : {"question", "answer_prefix"})
      for (int32_t id : fixture[part]) prompt.suffix_ids.push_back(id);
    return prompt;
  }

  // Logits that predict each answer token, the answer fed after `prompt`.
  static std::vector<Logits> Forced(InferenceSession& session, Rows rows, const json& fixture) {
    const auto answer = fixture["answer"].get<std::vector<int32_t>>();
    for (size_t i = 0; i + 1 < answer.size(); ++i)
      rows.Append(answer[i], rows.slots.back() + 1, rows.positions.back() + 1);
    return *session.RunAllLogits(rows, rows.size() - static_cast<int32_t>(answer.size()));
  }

  static std::shared_ptr<const LanguageModel> model_;
  static json golden_;
};
std::shared_ptr<const LanguageModel> Fixtures::model_;
json Fixtures::golden_;

TEST_F(Fixtures, SelectiveSetsMeetThePrototypesKlAndLogProbabilities) {
  for (const json& fixture : golden_) {
    const PromptTokens prompt = PromptOf(fixture);
    const auto answer = fixture["answer"].get<std::vector<int32_t>>();
    const int32_t room = static_cast<int32_t>(answer.size());
    const auto full_session = *InferenceSession::Create(model_, prompt.size() + room);
    const std::vector<Logits> full = Forced(*full_session, FullRows(prompt), fixture);
    for (size_t i = 0; i < answer.size(); ++i)
      EXPECT_NEAR(LogSoftmax(full[i])[static_cast<size_t>(answer[i])],
                  fixture["full"]["logp_gold"][i].get<double>(), 1e-2);
    for (const auto& [name, set] : fixture["sets"].items()) {
      const auto indices =
          set["idx"].is_string() ? AllIndices(prompt) : set["idx"].get<std::vector<int32_t>>();
      const auto session = Assemble(model_, prompt, room);
      const std::vector<Logits> method = Forced(*session, SelectiveRows(prompt, indices), fixture);
      double kl = 0;
      for (size_t i = 0; i < answer.size(); ++i) {
        kl += KlDivergence(full[i], method[i]) / static_cast<double>(answer.size());
        EXPECT_NEAR(LogSoftmax(method[i])[static_cast<size_t>(answer[i])], set["logp_gold"][i].get<double>(),
                    1e-2)
            << name;
      }
      EXPECT_NEAR(kl, set["kl"].get<double>(), 1e-3) << name;
    }
  }
}

// All chunk text as one chunk right behind the prefix, so that int8 is the only loss. Each task once. Seen
// over all eight fixtures: mean 0.0001, worst 0.0003.
TEST_F(Fixtures, SingleInt8ChunkIsAsGoodAsFullPrefill) {
  constexpr size_t kNumFixtures = 4;
  double sum = 0;
  for (size_t number = 0; number < kNumFixtures; ++number) {
    const json& fixture = golden_[number];
    PromptTokens prompt = PromptOf(fixture);
    for (size_t i = 1; i < prompt.chunk_ids.size(); ++i)
      prompt.chunk_ids[0].insert(prompt.chunk_ids[0].end(), prompt.chunk_ids[i].begin(),
                                 prompt.chunk_ids[i].end());
    prompt.chunk_ids.resize(1);
    const int32_t room = static_cast<int32_t>(fixture["answer"].size());
    const auto full_session = *InferenceSession::Create(model_, prompt.size() + room);
    const std::vector<Logits> full = Forced(*full_session, FullRows(prompt), fixture);
    const auto session = Assemble(model_, prompt, room, KvDtype::kInt8);
    const std::vector<Logits> reused = Forced(*session, SelectiveRows(prompt, {}), fixture);
    double kl = 0;
    for (size_t i = 0; i < full.size(); ++i)
      kl += KlDivergence(full[i], reused[i]) / static_cast<double>(full.size());
    sum += kl;
    EXPECT_LT(kl, 3e-3);
  }
  EXPECT_LT(sum / kNumFixtures, 1e-3);  // below it int8 is called free
}

TEST_F(Fixtures, ProbeScoresMeetThePrototypes) {
  for (const json& fixture : golden_) {
    const PromptTokens prompt = PromptOf(fixture);
    const auto scores = *ScoreByPrimaryProbe(*Assemble(model_, prompt), prompt,
                                             {.band = {15, 22}, .rows = RowPooling::kMean});
    const auto expected = fixture["prb_band_score"].get<std::vector<float>>();
    ASSERT_EQ(scores.size(), expected.size());
    for (size_t i = prompt.chunk_ids[0].size(); i < scores.size(); ++i)
      EXPECT_NEAR(scores[i], expected[i], 1e-4);
  }
}

}  // namespace
}  // namespace cacheclip
