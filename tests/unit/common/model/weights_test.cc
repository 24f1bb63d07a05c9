#include "common/model/weights.h"

#include <ATen/TensorOperators.h>
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
                            num_layers, dtype, at::kCPU);
  }
  TempFolder folder_;
  std::map<std::string, std::vector<int64_t>> tensors_ = FormulaTensors(kConfig);
};

TEST_F(Weights, FuseQueryKeyValueAndGateUpInOrder) {
  const ModelTensors tensors = Load(tensors_).value();
  const LayerTensors& layer = tensors.layers[1];
  EXPECT_EQ(layer.qkv.sizes(), (at::IntArrayRef{16, 8}));
  EXPECT_EQ(layer.gate_up.sizes(), (at::IntArrayRef{24, 8}));
  const auto first = [](const std::string& name) { return FormulaValues(name, 1)[0]; };
  EXPECT_EQ(layer.qkv[0][0].item<float>(), first("model.layers.1.self_attn.q_proj.weight"));
  EXPECT_EQ(layer.qkv[8][0].item<float>(), first("model.layers.1.self_attn.k_proj.weight"));
  EXPECT_EQ(layer.qkv[12][0].item<float>(), first("model.layers.1.self_attn.v_proj.weight"));
  EXPECT_EQ(layer.qkv_bias[12].item<float>(), first("model.layers.1.self_attn.v_proj.bias"));
  EXPECT_EQ(layer.gate_up[12][0].item<float>(), first("model.layers.1.mlp.up_proj.weight"));
  EXPECT_FALSE(layer.query_norm.defined() || layer.output_bias.defined());
}

TEST_F(Weights, TiedHeadSharesTheEmbedding) {
  const ModelTensors tensors = Load(tensors_).value();
  EXPECT_TRUE(tensors.head.is_same(tensors.embedding));
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
  EXPECT_EQ(tensors.layers[0].down.scalar_type(), at::kBFloat16);
  EXPECT_EQ(tensors.rotations->Of(0, 1).cosine.scalar_type(), at::kFloat);
  const at::Tensor wide = Load(tensors_).value().layers[0].down;
  EXPECT_TRUE(tensors.layers[0].down.equal(wide.to(at::kBFloat16)));
}

}  // namespace
}  // namespace cacheclip
