#include "common/model/config.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

using nlohmann::json;

constexpr int64_t kMaxDimension = int64_t{1} << 24;  // far above any real model; keeps products inside int64

absl::StatusOr<int64_t> PositiveInteger(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) return InvalidField(absl::StrCat("config.json ", key), "is missing");
  if (!it->is_number_integer() || it->get<int64_t>() <= 0 || it->get<int64_t>() > kMaxDimension)
    return InvalidField(absl::StrCat("config.json ", key), "must be a positive integer of ordinary size");
  return it->get<int64_t>();
}

absl::StatusOr<int64_t> PositiveIntegerOr(const json& object, const char* key, int64_t fallback) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return fallback;
  return PositiveInteger(object, key);
}

double NumberOr(const json& object, const char* key, double fallback) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number() ? it->get<double>() : fallback;
}

bool BoolOr(const json& object, const char* key, bool fallback) {
  const auto it = object.find(key);
  return it != object.end() && it->is_boolean() ? it->get<bool>() : fallback;
}

absl::Status Unsupported(std::string_view what) {
  return absl::UnimplementedError(absl::StrCat("this model is not supported: ", AbslView(what)));
}

absl::Status ReadRopeScaling(const json& scaling, RopeParameters& rope) {
  std::string kind = scaling.value("rope_type", scaling.value("type", std::string("default")));
  rope.theta = NumberOr(scaling, "rope_theta", rope.theta);
  rope.factor = NumberOr(scaling, "factor", 1.0);
  if (kind == "default") return absl::OkStatus();
  if (!(rope.factor > 0)) return InvalidField("config.json rope_scaling.factor", "must be positive");
  if (kind == "linear") {
    rope.scaling = RopeScaling::kLinear;
    return absl::OkStatus();
  }
  if (kind == "llama3") {
    rope.scaling = RopeScaling::kLlama3;
    rope.low_frequency_factor = NumberOr(scaling, "low_freq_factor", 1.0);
    rope.high_frequency_factor = NumberOr(scaling, "high_freq_factor", 4.0);
    CACHECLIP_ASSIGN_OR_RETURN(rope.original_max_positions,
                               PositiveIntegerOr(scaling, "original_max_position_embeddings", 8192));
    if (rope.high_frequency_factor <= rope.low_frequency_factor)
      return InvalidField("config.json rope_scaling.high_freq_factor", "must exceed low_freq_factor");
    return absl::OkStatus();
  }
  return Unsupported(absl::StrCat("RoPE scaling kind \"", kind, "\" (supported: default, linear, llama3)"));
}

absl::Status ReadRope(const json& object, ModelConfig& config) {
  config.rope.theta = NumberOr(object, "rope_theta", 10000.0);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const auto it = object.find(key);
    if (it != object.end() && it->is_object()) CACHECLIP_RETURN_IF_ERROR(ReadRopeScaling(*it, config.rope));
  }
  if (!(config.rope.theta > 1)) return InvalidField("config.json rope_theta", "must exceed 1");
  if (NumberOr(object, "partial_rotary_factor", 1.0) != 1.0)
    return Unsupported("partial_rotary_factor other than 1");
  return absl::OkStatus();
}

absl::Status ReadFamily(const json& object, ModelConfig& config) {
  config.family = object.value("model_type", std::string());
  const bool bias = BoolOr(object, "attention_bias", false);
  if (config.family == "llama") {
    config.attention_bias = config.output_bias = bias;
  } else if (config.family == "mistral") {
  } else if (config.family == "qwen2") {
    config.attention_bias = true;
  } else if (config.family == "qwen3") {
    config.query_key_norm = true;
    if (bias) return Unsupported("qwen3 with attention_bias");
  } else {
    return Unsupported(
        absl::StrCat("model_type \"", config.family, "\" (supported: llama, mistral, qwen2, qwen3)"));
  }
  const bool gated_by_flag = config.family == "qwen2" || config.family == "qwen3";
  const auto window = object.find("sliding_window");
  const bool has_window = window != object.end() && !window->is_null();
  if (gated_by_flag ? BoolOr(object, "use_sliding_window", false) : has_window)
    return Unsupported("sliding-window attention (config.json sliding_window)");
  if (BoolOr(object, "mlp_bias", false)) return Unsupported("mlp_bias");
  if (object.contains("quantization_config"))
    return Unsupported("quantised checkpoint (config.json quantization_config)");
  const std::string activation = object.value("hidden_act", std::string("silu"));
  if (activation != "silu") return Unsupported(absl::StrCat("hidden_act \"", activation, "\""));
  return absl::OkStatus();
}

void ReadEndOfSequence(const json& object, std::vector<int32_t>& ids) {
  const auto it = object.find("eos_token_id");
  if (it == object.end()) return;
  const auto add = [&](const json& value) {
    if (!value.is_number_integer()) return;
    const int32_t id = value.get<int32_t>();
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  };
  if (it->is_array())
    for (const json& value : *it) add(value);
  else
    add(*it);
}

absl::Status ReadDimensions(const json& object, ModelConfig& config) {
  CACHECLIP_ASSIGN_OR_RETURN(config.vocab_size, PositiveInteger(object, "vocab_size"));
  CACHECLIP_ASSIGN_OR_RETURN(config.hidden_size, PositiveInteger(object, "hidden_size"));
  CACHECLIP_ASSIGN_OR_RETURN(config.intermediate_size, PositiveInteger(object, "intermediate_size"));
  CACHECLIP_ASSIGN_OR_RETURN(config.num_layers, PositiveInteger(object, "num_hidden_layers"));
  CACHECLIP_ASSIGN_OR_RETURN(config.num_heads, PositiveInteger(object, "num_attention_heads"));
  CACHECLIP_ASSIGN_OR_RETURN(config.num_kv_heads,
                             PositiveIntegerOr(object, "num_key_value_heads", config.num_heads));
  CACHECLIP_ASSIGN_OR_RETURN(config.max_positions,
                             PositiveIntegerOr(object, "max_position_embeddings", 2048));
  CACHECLIP_ASSIGN_OR_RETURN(
      config.head_dim,
      PositiveIntegerOr(object, "head_dim", std::max<int64_t>(1, config.hidden_size / config.num_heads)));
  if (config.num_heads % config.num_kv_heads != 0)
    return InvalidField("config.json num_key_value_heads", "must divide num_attention_heads");
  if (config.head_dim % 2 != 0) return InvalidField("config.json head_dim", "must be even");
  return absl::OkStatus();
}

absl::StatusOr<json> ParseObject(std::string_view text, std::string_view name) {
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return InvalidField(name, "is not a JSON object");
  return object;
}

}  // namespace

std::string RopeParameters::Canonical() const {
  switch (scaling) {
    case RopeScaling::kNone:
      return absl::StrFormat("default theta=%.17g", theta);
    case RopeScaling::kLinear:
      return absl::StrFormat("linear theta=%.17g factor=%.17g", theta, factor);
    case RopeScaling::kLlama3:
      return absl::StrFormat("llama3 theta=%.17g factor=%.17g low=%.17g high=%.17g original=%d", theta,
                             factor, low_frequency_factor, high_frequency_factor, original_max_positions);
  }
  return "";
}

int64_t ModelConfig::num_parameters() const {
  const int64_t attention = hidden_size * head_dim * (2 * num_heads + 2 * num_kv_heads);
  const int64_t layer = attention + 3 * hidden_size * intermediate_size + 2 * hidden_size;
  return num_layers * layer + vocab_size * hidden_size * (tied_head ? 1 : 2) + hidden_size;
}

absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view text) {
  CACHECLIP_ASSIGN_OR_RETURN(const json object, ParseObject(text, "config.json"));
  ModelConfig config;
  try {  // nlohmann throws on a value of the wrong type
    CACHECLIP_RETURN_IF_ERROR(ReadFamily(object, config));
    CACHECLIP_RETURN_IF_ERROR(ReadDimensions(object, config));
    CACHECLIP_RETURN_IF_ERROR(ReadRope(object, config));
    config.rms_norm_epsilon = NumberOr(object, "rms_norm_eps", 1e-6);
    if (!(config.rms_norm_epsilon >= 0 && config.rms_norm_epsilon < 1))
      return InvalidField("config.json rms_norm_eps", "must be between 0 and 1");
    config.tied_head = BoolOr(object, "tie_word_embeddings", false);
    ReadEndOfSequence(object, config.end_of_sequence_ids);
  } catch (const json::exception& error) {
    return InvalidField("config.json", error.what());
  }
  return config;
}

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& directory) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::string text, ReadFile(directory + "/config.json"));
  absl::StatusOr<ModelConfig> config = ParseModelConfig(text);
  if (!config.ok()) return WithContext(config.status(), directory);
  if (absl::StatusOr<std::string> generation = ReadFile(directory + "/generation_config.json");
      generation.ok()) {
    CACHECLIP_ASSIGN_OR_RETURN(const json object, ParseObject(*generation, "generation_config.json"));
    ReadEndOfSequence(object, config->end_of_sequence_ids);
  }
  return config;
}

}  // namespace cacheclip
