// What a Hugging Face `config.json` says about a decoder-only model, reduced to what the forward pass needs
// and checked: everything this project cannot compute exactly is refused here, by name, before any weight is
// read. Supported families: Llama / SmolLM2 (llama3 and linear RoPE scaling), Mistral, Qwen2/2.5 (biases),
// Qwen3 (q/k norms). Value type; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace cacheclip {

enum class RopeScaling { kNone, kLinear, kLlama3 };

struct RopeParameters {
  double theta = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;                                             // kLinear and kLlama3
  double low_frequency_factor = 1.0, high_frequency_factor = 4.0;  // kLlama3
  int64_t original_max_positions = 8192;                           // kLlama3

  // One line that changes whenever any rotation changes; part of the chunk key.
  std::string Canonical() const;
};

struct ModelConfig {
  std::string family;  // "llama", "mistral", "qwen2", "qwen3"
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
  int64_t num_layers = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
  int64_t max_positions = 0;  // context length in tokens
  double rms_norm_epsilon = 1e-6;
  bool tied_head = false;       // lm_head shares the embedding
  bool attention_bias = false;  // biases on q, k, v (Qwen2)
  bool output_bias = false;     // bias on o_proj (Llama with attention_bias)
  bool query_key_norm = false;  // RMSNorm on q and k heads before RoPE (Qwen3)
  RopeParameters rope;
  std::vector<int32_t> end_of_sequence_ids;  // config.json's, extended by generation_config.json's

  int64_t num_parameters() const;
};

// `json` is the text of config.json. Errors: INVALID_ARGUMENT naming the key; UNIMPLEMENTED naming what is
// not supported.
absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view json);

// Reads <directory>/config.json and, if present, generation_config.json.
absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& directory);

}  // namespace cacheclip
