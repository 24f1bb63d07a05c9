#include "common/model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/safetensors_file.h"

namespace cacheclip {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json LlamaConfig() {
  return {{"model_type", "llama"},    {"vocab_size", 1000},
          {"hidden_size", 64},        {"intermediate_size", 128},
          {"num_hidden_layers", 4},   {"num_attention_heads", 4},
          {"num_key_value_heads", 2}, {"max_position_embeddings", 512},
          {"rope_theta", 10000.0},    {"hidden_act", "silu"}};
}

absl::StatusOr<ModelConfig> Parse(const json& changes) {
  json config = LlamaConfig();
  config.merge_patch(changes);
  return ParseModelConfig(config.dump());
}

TEST(ModelConfig, ReadsWhatTheForwardPassNeeds) {
  const auto config = Parse({{"rms_norm_eps", 1e-5}, {"tie_word_embeddings", true}, {"eos_token_id", 7}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->family, "llama");
  EXPECT_EQ(config->vocab_size, 1000);
  EXPECT_EQ(config->hidden_size, 64);
  EXPECT_EQ(config->intermediate_size, 128);
  EXPECT_EQ(config->num_layers, 4);
  EXPECT_EQ(config->num_heads, 4);
  EXPECT_EQ(config->num_kv_heads, 2);
  EXPECT_EQ(config->head_dim, 16);  // hidden_size / heads where it is not given
  EXPECT_EQ(config->max_positions, 512);
  EXPECT_DOUBLE_EQ(config->rms_norm_epsilon, 1e-5);
  EXPECT_TRUE(config->tied_head);
  EXPECT_FALSE(config->attention_bias || config->output_bias || config->query_key_norm);
  EXPECT_THAT(config->end_of_sequence_ids, ElementsAre(7));
}

TEST(ModelConfig, FamiliesDifferInBiasesAndNorms) {
  const auto llama = Parse({{"attention_bias", true}});
  ASSERT_TRUE(llama.ok());
  EXPECT_TRUE(llama->attention_bias && llama->output_bias);
  const auto mistral = Parse({{"model_type", "mistral"}, {"sliding_window", nullptr}});
  ASSERT_TRUE(mistral.ok());
  EXPECT_FALSE(mistral->attention_bias || mistral->query_key_norm);
  const auto qwen2 =
      Parse({{"model_type", "qwen2"}, {"sliding_window", 4096}, {"use_sliding_window", false}});
  ASSERT_TRUE(qwen2.ok());
  EXPECT_TRUE(qwen2->attention_bias && !qwen2->output_bias);
  const auto qwen3 = Parse({{"model_type", "qwen3"}, {"head_dim", 32}});
  ASSERT_TRUE(qwen3.ok());
  EXPECT_TRUE(qwen3->query_key_norm && !qwen3->attention_bias);
  EXPECT_EQ(qwen3->head_dim, 32);
}

TEST(ModelConfig, CountsParameters) {
  // Per layer: q and o 64·64 each, k and v 32·64 each, three 64·128 matrices, two norms of 64.
  const int64_t layer = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 128 + 2 * 64;
  EXPECT_EQ(Parse({{"tie_word_embeddings", true}})->num_parameters(), 4 * layer + 1000 * 64 + 64);
  EXPECT_EQ(Parse({{"tie_word_embeddings", false}})->num_parameters(), 4 * layer + 2 * 1000 * 64 + 64);
}

struct Refusal {
  const char* name;
  json changes;
  const char* mentions;
};

class Unsupported : public testing::TestWithParam<Refusal> {};

TEST_P(Unsupported, IsRefusedByName) {
  const auto config = Parse(GetParam().changes);
  EXPECT_EQ(config.status().code(), absl::StatusCode::kUnimplemented) << config.status();
  EXPECT_THAT(std::string(config.status().message()), HasSubstr(GetParam().mentions));
}

INSTANTIATE_TEST_SUITE_P(
    Features, Unsupported,
    testing::Values(
        Refusal{"Yarn", {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}}}, "yarn"},
        Refusal{"Dynamic", {{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}}, "dynamic"},
        Refusal{"LongRope", {{"rope_scaling", {{"rope_type", "longrope"}}}}, "longrope"},
        Refusal{"RopeParameters", {{"rope_parameters", {{"rope_type", "yarn"}}}}, "yarn"},
        Refusal{"PartialRotary", {{"partial_rotary_factor", 0.5}}, "partial_rotary_factor"},
        Refusal{"Window", {{"model_type", "mistral"}, {"sliding_window", 4096}}, "sliding_window"},
        Refusal{"QwenWindow", {{"model_type", "qwen2"}, {"use_sliding_window", true}}, "sliding_window"},
        Refusal{"Quantised", {{"quantization_config", {{"bits", 4}}}}, "quantization_config"},
        Refusal{"Family", {{"model_type", "gpt2"}}, "gpt2"},
        Refusal{"NoFamily", {{"model_type", nullptr}}, "model_type"},
        Refusal{"Qwen3Bias", {{"model_type", "qwen3"}, {"attention_bias", true}}, "attention_bias"},
        Refusal{"MlpBias", {{"mlp_bias", true}}, "mlp_bias"},
        Refusal{"Activation", {{"hidden_act", "gelu"}}, "gelu"}),
    [](const auto& info) { return info.param.name; });

class Invalid : public testing::TestWithParam<Refusal> {};

TEST_P(Invalid, NamesTheKey) {
  const auto config = Parse(GetParam().changes);
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << config.status();
  EXPECT_THAT(std::string(config.status().message()), HasSubstr(GetParam().mentions));
}

INSTANTIATE_TEST_SUITE_P(
    Keys, Invalid,
    testing::Values(
        Refusal{"NoVocabulary", {{"vocab_size", nullptr}}, "vocab_size"},
        Refusal{"NoHidden", {{"hidden_size", nullptr}}, "hidden_size"},
        Refusal{"NoIntermediate", {{"intermediate_size", nullptr}}, "intermediate_size"},
        Refusal{"NoLayers", {{"num_hidden_layers", nullptr}}, "num_hidden_layers"},
        Refusal{"NoHeads", {{"num_attention_heads", nullptr}}, "num_attention_heads"},
        Refusal{"ZeroLayers", {{"num_hidden_layers", 0}}, "num_hidden_layers"},
        Refusal{"NegativeHidden", {{"hidden_size", -64}}, "hidden_size"},
        Refusal{"HugeVocabulary", {{"vocab_size", 1ull << 63}}, "vocab_size"},
        Refusal{"FractionalHeads", {{"num_attention_heads", 4.5}}, "num_attention_heads"},
        Refusal{"TextForNumber", {{"hidden_size", "64"}}, "hidden_size"},
        Refusal{"HeadsDoNotDivide", {{"num_key_value_heads", 3}}, "num_key_value_heads"},
        Refusal{"OddHeadDim", {{"head_dim", 15}}, "head_dim"},
        Refusal{"SmallTheta", {{"rope_theta", 0.5}}, "rope_theta"},
        Refusal{"ZeroFactor", {{"rope_scaling", {{"type", "linear"}, {"factor", 0}}}}, "factor"},
        Refusal{"Llama3Order",
                {{"rope_scaling",
                  {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 1}}}},
                "high_freq_factor"},
        Refusal{"NumberForFamily", {{"model_type", 3}}, "config.json"}),
    [](const auto& info) { return info.param.name; });

TEST(ModelConfig, TextThatIsNoObjectIsRefused) {
  for (const char* text : {"", "[]", "{", "3", "null", "{\"a\":"})
    EXPECT_EQ(ParseModelConfig(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
}

TEST(ModelConfig, RopeScalingIsReadUnderEitherName) {
  const auto linear = Parse({{"rope_scaling", {{"type", "linear"}, {"factor", 2.5}}}});
  ASSERT_TRUE(linear.ok());
  EXPECT_EQ(linear->rope.scaling, RopeScaling::kLinear);
  EXPECT_DOUBLE_EQ(linear->rope.factor, 2.5);
  const auto llama3 = Parse({{"rope_parameters",
                              {{"rope_type", "llama3"},
                               {"rope_theta", 500000.0},
                               {"factor", 8.0},
                               {"low_freq_factor", 1.0},
                               {"high_freq_factor", 4.0},
                               {"original_max_position_embeddings", 4096}}}});
  ASSERT_TRUE(llama3.ok());
  EXPECT_EQ(llama3->rope.scaling, RopeScaling::kLlama3);
  EXPECT_DOUBLE_EQ(llama3->rope.theta, 500000.0);
  EXPECT_EQ(llama3->rope.original_max_positions, 4096);
  EXPECT_EQ(Parse({{"rope_scaling", {{"rope_type", "default"}}}})->rope.scaling, RopeScaling::kNone);
}

TEST(ModelConfig, CanonicalRopeChangesWithEveryParameter) {
  const RopeParameters plain;
  RopeParameters theta = plain, linear = plain, factor, llama3 = plain, low, high, original;
  theta.theta = 10001;
  linear.scaling = RopeScaling::kLinear;
  factor = linear;
  factor.factor = 2;
  llama3.scaling = RopeScaling::kLlama3;
  low = high = original = llama3;
  low.low_frequency_factor = 2;
  high.high_frequency_factor = 5;
  original.original_max_positions = 4096;
  std::set<std::string> lines;
  for (const RopeParameters& rope : {plain, theta, linear, factor, llama3, low, high, original})
    lines.insert(rope.Canonical());
  EXPECT_EQ(lines.size(), 8u);
}

TEST(ModelConfig, GenerationConfigExtendsTheEndOfSequenceIds) {
  const TempFolder folder;
  WriteText(folder.path() + "/config.json", LlamaConfig().dump());
  EditConfig(folder.path(), {{"eos_token_id", {2, 5}}});
  EXPECT_THAT(LoadModelConfig(folder.path())->end_of_sequence_ids, ElementsAre(2, 5));
  WriteText(folder.path() + "/generation_config.json", R"({"eos_token_id": [5, 9]})");
  EXPECT_THAT(LoadModelConfig(folder.path())->end_of_sequence_ids, ElementsAre(2, 5, 9));
  WriteText(folder.path() + "/generation_config.json", R"({"eos_token_id": 11})");
  EXPECT_THAT(LoadModelConfig(folder.path())->end_of_sequence_ids, ElementsAre(2, 5, 11));
  WriteText(folder.path() + "/generation_config.json", "{");
  EXPECT_EQ(LoadModelConfig(folder.path()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ModelConfig, AFolderWithoutConfigIsNotFound) {
  const TempFolder folder;
  EXPECT_EQ(LoadModelConfig(folder.path()).status().code(), absl::StatusCode::kNotFound);
}

TEST(ModelConfig, ErrorsOfAFolderNameTheFolder) {
  const TempFolder folder;
  WriteText(folder.path() + "/config.json", "[]");
  EXPECT_THAT(std::string(LoadModelConfig(folder.path()).status().message()), HasSubstr(folder.path()));
}

}  // namespace
}  // namespace cacheclip
