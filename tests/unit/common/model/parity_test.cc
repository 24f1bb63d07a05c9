// Our forward pass against `transformers`: random models of four families, and the real demo model where it
// is fetched.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "common/model/inference_session.h"
#include "common/model/sampler.h"
#include "tests/support/demo_model.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {
namespace {

using nlohmann::json;

json ReadJson(const std::string& name) {
  std::ifstream file(std::string(CACHECLIP_SOURCE_DIR "/tests/data/parity/") + name);
  return json::parse(file);
}

std::shared_ptr<const LanguageModel> Load(const std::string& directory, ComputeDtype dtype) {
  auto model = LanguageModel::Load({.directory = directory, .dtype = dtype});
  EXPECT_TRUE(model.ok()) << model.status();
  return *model;
}

double MaxDifference(const std::vector<float>& ours, const std::vector<float>& theirs) {
  EXPECT_EQ(ours.size(), theirs.size());
  double worst = 0;
  for (size_t i = 0; i < ours.size(); ++i) worst = std::max<double>(worst, std::abs(ours[i] - theirs[i]));
  return worst;
}

std::vector<int32_t> Greedy(InferenceSession& session, Logits logits, size_t count) {
  Sampler sampler({});
  std::vector<int32_t> ids;
  for (;;) {
    ids.push_back(sampler.Sample(logits, {}).id);
    if (ids.size() == count) return ids;
    logits = *session.Decode(ids.back());
  }
}

class FamilyParity : public testing::TestWithParam<const char*> {
 protected:
  const json golden_ = ReadJson(std::string(GetParam()) + ".json");
  TempFolder folder_;
  std::string directory_ = WriteFormulaModel(folder_.path(), golden_["config"], golden_["tensors"]);
};

TEST_P(FamilyParity, FormulaWeightsAreThePrototypes) {
  for (const auto& [name, samples] : golden_["weight_samples"].items()) {
    const std::vector<float> ours = FormulaValues(name, static_cast<int64_t>(samples.size()));
    EXPECT_LT(MaxDifference(ours, samples.get<std::vector<float>>()), 1e-6) << name;
  }
}

TEST_P(FamilyParity, Fp32LogitsWithin1e3) {
  const auto session = *InferenceSession::Create(Load(directory_, ComputeDtype::kFloat32), 128);
  Rows rows;
  rows.Append(golden_["ids"].get<std::vector<int32_t>>(), 0, 0);
  const int middle = golden_["middle_index"];
  const std::vector<Logits> logits = *session->RunAllLogits(rows, middle);
  EXPECT_LT(MaxDifference(logits.front(), golden_["middle_row"]), 1e-3);
  EXPECT_LT(MaxDifference(logits.back(), golden_["last_row"]), 1e-3);
}

TEST_P(FamilyParity, Fp32GreedyTokensAreIdentical) {
  const auto session = *InferenceSession::Create(Load(directory_, ComputeDtype::kFloat32), 128);
  Rows rows;
  rows.Append(golden_["ids"].get<std::vector<int32_t>>(), 0, 0);
  const auto expected = golden_["greedy"].get<std::vector<int32_t>>();
  EXPECT_EQ(Greedy(*session, *session->Run(rows), expected.size()), expected);
}

// The bound: no farther from fp32 than twice what transformers' own bf16 run is.
TEST_P(FamilyParity, Bf16LogitsWithinTwiceTheReferencesOwnDeviation) {
  const auto session = *InferenceSession::Create(Load(directory_, ComputeDtype::kBfloat16), 128);
  Rows rows;
  rows.Append(golden_["ids"].get<std::vector<int32_t>>(), 0, 0);
  const double bound = 2 * golden_["bf16_max_abs_deviation"].get<double>();
  EXPECT_LT(MaxDifference(*session->Run(rows), golden_["last_row"]), bound);
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyParity, testing::Values("llama", "mistral", "qwen2", "qwen3"));

class DemoModelParity : public testing::Test {
 protected:
  void SetUp() override {
    if (!DemoModelDirectory()) GTEST_SKIP() << kDemoModelMissing;
  }
  const json golden_ = ReadJson("smollm2.json");
};

TEST_F(DemoModelParity, Fp32LogitsWithin1e3And64GreedyTokensIdentical) {
  const auto model = Load(*DemoModelDirectory(), ComputeDtype::kFloat32);
  for (const json& prompt : golden_["prompts"]) {
    const auto ids = prompt["ids"].get<std::vector<int32_t>>();
    const auto expected = prompt["greedy"].get<std::vector<int32_t>>();
    const auto session = *InferenceSession::Create(model, static_cast<int32_t>(ids.size() + expected.size()));
    Rows rows;
    rows.Append(ids, 0, 0);
    const Logits logits = *session->Run(rows);
    for (const char* kind : {"top", "sampled"}) {
      const auto at = prompt[std::string(kind) + "_ids"].get<std::vector<int32_t>>();
      std::vector<float> ours;
      for (int32_t id : at) ours.push_back(logits[static_cast<size_t>(id)]);
      EXPECT_LT(MaxDifference(ours, prompt[std::string(kind) + "_logits"]), 1e-3);
    }
    EXPECT_EQ(Greedy(*session, logits, expected.size()), expected);
  }
}

}  // namespace
}  // namespace cacheclip
