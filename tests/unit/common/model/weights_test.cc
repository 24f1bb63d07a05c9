#include "common/model/weights.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/common/model/safetensors_file.h"

namespace cacheclip {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const json kConfig = {{"model_type", "qwen2"},    {"vocab_size", 16},       {"hidden_size", 8},
                      {"intermediate_size", 12},  {"num_hidden_layers", 2}, {"num_attention_heads", 2},
                      {"num_key_value_heads", 1}, {"head_dim", 4},          {"tie_word_embeddings", true}};

class Weights : public testing::Test {
 protected:
  absl::StatusOr<ModelTensors> Load(const std::map<std::string, std::vector<int64_t>>& tensors,
                                    int num_layers = 2, at::ScalarType dtype = at::kFloat) const {
    WriteFormulaModel(folder_.path(), kConfig, tensors);
    return LoadModelTensors(Checkpoint::Open(folder_.path()).value(), LoadModelConfig(folder_.path()).value(),
                            num_layers, {.dtype = dtype});
  }
  TempFolder folder_;
  std::map<std::string, std::vector<int64_t>> tensors_ = FormulaTensors(kConfig);
};

// Column `input` of a matrix, as its products show it: what a one-hot row is multiplied to.
at::Tensor Column(const LinearWeights& weights, int64_t inputs, int64_t input) {
  at::Tensor row = at::zeros({1, inputs});
  row[0][input] = 1;
  return weights.Apply(row)[0];
}

TEST_F(Weights, FuseQueryKeyValueInOrder) {
  const ModelTensors tensors = Load(tensors_).value();
  const LayerTensors& layer = tensors.layers[1];
  const at::Tensor column = Column(layer.qkv, 8, 0), bias = layer.qkv.Apply(at::zeros({1, 8}))[0];
  ASSERT_EQ(column.sizes(), (at::IntArrayRef{16}));
  const auto first = [](const std::string& name) { return FormulaValues(name, 1)[0]; };
  const auto weight = [&](int64_t output) { return (column[output] - bias[output]).item<float>(); };
  EXPECT_NEAR(weight(0), first("model.layers.1.self_attn.q_proj.weight"), 1e-6);
  EXPECT_NEAR(weight(8), first("model.layers.1.self_attn.k_proj.weight"), 1e-6);
  EXPECT_NEAR(weight(12), first("model.layers.1.self_attn.v_proj.weight"), 1e-6);
  EXPECT_EQ(bias[12].item<float>(), first("model.layers.1.self_attn.v_proj.bias"));
  EXPECT_FALSE(layer.query_norm.defined());
}

TEST_F(Weights, GateAndUpAreApart) {
  const ModelTensors tensors = Load(tensors_).value();
  at::Tensor row = at::zeros({1, 8});
  row[0][0] = 1;
  const float gate = FormulaValues("model.layers.1.mlp.gate_proj.weight", 1)[0],
              up = FormulaValues("model.layers.1.mlp.up_proj.weight", 1)[0];
  const at::Tensor gated = tensors.layers[1].gate_up.ApplyGated(row);
  EXPECT_EQ(gated.sizes(), (at::IntArrayRef{1, 12}));
  EXPECT_NEAR(gated[0][0].item<float>(), gate / (1 + std::exp(-gate)) * up, 1e-6);
}

TEST_F(Weights, TiedHeadIsTheEmbedding) {
  const ModelTensors tensors = Load(tensors_).value();
  EXPECT_FALSE(tensors.embedding.defined());
  const at::Tensor embedded = tensors.Embed(at::tensor({3, 7}, at::kLong));
  for (int64_t input = 0; input < 8; ++input)
    EXPECT_EQ(embedded[1][input].item<float>(), Column(tensors.head, 8, input)[7].item<float>());
}

TEST_F(Weights, OnlyTheAskedLayersAreRead) {
  for (auto it = tensors_.begin(); it != tensors_.end();)
    it = it->first.starts_with("model.layers.1.") ? tensors_.erase(it) : std::next(it);
  EXPECT_EQ(Load(tensors_, 1)->layers.size(), 1u);
  EXPECT_EQ(Load(tensors_, 2).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(Weights, EveryMissingTensorIsNotFoundAndNamed) {
  for (const auto& [name, shape] : FormulaTensors(kConfig)) {
    auto without = tensors_;
    without.erase(name);
    const absl::Status status = Load(without).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
}

TEST_F(Weights, EveryWrongShapeIsDataLossAndNamed) {
  for (const auto& [name, shape] : FormulaTensors(kConfig)) {
    auto other = tensors_;
    ++other[name][0];
    const absl::Status status = Load(other).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
}

TEST_F(Weights, TransposedMatrixIsNotTakenForTheRightOne) {
  tensors_["model.layers.0.mlp.down_proj.weight"] = {12, 8};
  EXPECT_THAT(std::string(Load(tensors_).status().message()),
              HasSubstr("[12, 8], config.json implies [8, 12]"));
}

TEST_F(Weights, AreConvertedToTheComputeDtypeButFrequenciesStayFp32) {
  const ModelTensors tensors = Load(tensors_, 2, at::kBFloat16).value();
  EXPECT_EQ(tensors.final_norm.scalar_type(), at::kBFloat16);
  EXPECT_EQ(tensors.Embed(at::tensor({1}, at::kLong)).scalar_type(), at::kBFloat16);
  EXPECT_EQ(tensors.rotations->Of(0, 1).cosine.scalar_type(), at::kFloat);
  EXPECT_TRUE(tensors.final_norm.equal(Load(tensors_).value().final_norm.to(at::kBFloat16)));
}

}  // namespace
}  // namespace cacheclip
