// The fast path against the plain loops of reference_model.h, for each family and each way a checkpoint may
// differ.
#include "common/model/forward_pass.h"

#include <gtest/gtest.h>

#include "common/model/reference_model.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"
#include "tests/unit/common/model/safetensors_file.h"

namespace cacheclip {
namespace {

using nlohmann::json;

json SmallConfig(const std::string& family) {
  return {{"model_type", family},     {"vocab_size", 200},      {"hidden_size", 48},
          {"intermediate_size", 80},  {"num_hidden_layers", 3}, {"num_attention_heads", 6},
          {"num_key_value_heads", 2}, {"head_dim", 16},         {"max_position_embeddings", 256},
          {"rms_norm_eps", 1e-5},     {"rope_theta", 10000.0},  {"tie_word_embeddings", true}};
}

struct Variant {
  const char* name;
  const char* family;
  json changes;
};

class AgainstReference : public testing::TestWithParam<Variant> {
 protected:
  AgainstReference() {
    json config = SmallConfig(GetParam().family);
    config.merge_patch(GetParam().changes);
    auto tensors = FormulaTensors(config);
    if (config.value("attention_bias", false))
      for (const auto& [name, shape] : FormulaTensors(config))
        if (name.ends_with("_proj.weight") && name.find("self_attn") != std::string::npos)
          tensors[name.substr(0, name.size() - 6) + "bias"] = {shape[0]};
    WriteFormulaModel(folder_.path(), config, tensors);
    model_ = LanguageModel::Load({.directory = folder_.path(), .dtype = ComputeDtype::kFloat32}).value();
    reference_ = ReferenceLogits(Checkpoint::Open(folder_.path()).value(), model_->config(), ids_).value();
  }

  // Relative to the largest logit of the row.
  static void ExpectClose(const Logits& ours, const std::vector<float>& reference) {
    double largest = 0;
    for (float logit : reference) largest = std::max<double>(largest, std::abs(logit));
    EXPECT_LT(MaxDifference(ours, reference), 1e-4 * largest);
  }

  static std::vector<int32_t> SmallIds() {
    std::vector<int32_t> ids = TestIds(40, 3);
    for (int32_t& id : ids) id %= 200;
    return ids;
  }

  TempFolder folder_;
  std::vector<int32_t> ids_ = SmallIds();
  std::shared_ptr<const LanguageModel> model_;
  std::vector<std::vector<float>> reference_;
};

TEST_P(AgainstReference, EveryRowsLogitsAgree) {
  const auto session = InferenceSession::Create(model_, 64).value();
  Rows rows;
  rows.Append(ids_, 0, 0);
  const auto logits = session->RunAllLogits(rows, 0).value();
  ASSERT_EQ(logits.size(), reference_.size());
  for (size_t i = 0; i < logits.size(); ++i) ExpectClose(logits[i], reference_[i]);
}

TEST_P(AgainstReference, PrefillInPiecesThenDecodeAgrees) {
  const auto session = InferenceSession::Create(model_, 64).value();
  Rows first, second;
  first.Append(std::span(ids_).first(17), 0, 0);
  second.Append(std::span(ids_).subspan(17, 20), 17, 17);
  ExpectClose(session->Run(first).value(), reference_[16]);
  ExpectClose(session->Run(second).value(), reference_[36]);
  for (size_t i = 37; i < ids_.size(); ++i) ExpectClose(session->Decode(ids_[i]).value(), reference_[i]);
}

INSTANTIATE_TEST_SUITE_P(
    Checkpoints, AgainstReference,
    testing::Values(Variant{"Llama", "llama", json::object()}, Variant{"Mistral", "mistral", json::object()},
                    Variant{"Qwen2", "qwen2", json::object()}, Variant{"Qwen3", "qwen3", json::object()},
                    Variant{"OwnHead", "llama", {{"tie_word_embeddings", false}}},
                    Variant{"OutputBias", "llama", {{"attention_bias", true}}},
                    Variant{"OneKvHead", "qwen2", {{"num_key_value_heads", 1}}},
                    Variant{"LinearRope", "llama", {{"rope_scaling", {{"type", "linear"}, {"factor", 3.0}}}}},
                    Variant{"Llama3Rope",
                            "llama",
                            {{"rope_scaling",
                              {{"rope_type", "llama3"},
                               {"factor", 8.0},
                               {"low_freq_factor", 1.0},
                               {"high_freq_factor", 4.0},
                               {"original_max_position_embeddings", 64}}}}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(ForwardPass, HooksSeeEachLayerInOrderAndMayStopIt) {
  const TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.num_layers = 4});
  const auto session = InferenceSession::Create(model, 16).value();
  Rows rows;
  rows.Append(TestIds(5, 1), 0, 0);
  std::vector<std::string> events;
  ForwardPass pass(model->tensors(), model->config(), session->cache(), rows);
  const auto note = [&](const char* what, int layer) { events.push_back(what + std::to_string(layer)); };
  const ForwardHooks hooks{.before_layer = [&](int layer) { return note("layer ", layer), absl::OkStatus(); },
                           .before_store =
                               [&](int layer, const Projections& projections) {
                                 EXPECT_EQ(projections.keys.sizes(), (at::IntArrayRef{5, 2, 64}));
                                 EXPECT_EQ(projections.queries.sizes(), (at::IntArrayRef{5, 4, 64}));
                                 return note("project ", layer), absl::OkStatus();
                               },
                           .after_store =
                               [&](int layer, const Projections&) {
                                 note("store ", layer);
                                 return layer == 1 ? absl::AbortedError("enough") : absl::OkStatus();
                               },
                           .cancellation = CancellationToken()};
  EXPECT_EQ(pass.RunLayers(0, 4, rows.size(), hooks).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(events,
            (std::vector<std::string>{"layer 0", "project 0", "store 0", "layer 1", "project 1", "store 1"}));
}

}  // namespace
}  // namespace cacheclip
