#include "tests/support/tiny_model.h"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

namespace cacheclip {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Rule {
  std::string_view suffix;
  double offset, scale;
};
constexpr Rule kRules[] = {{"norm.weight", 1.0, 0.125},
                           {"embed_tokens.weight", 0.0, 0.25},
                           {"lm_head.weight", 0.0, 0.5},
                           {".bias", 0.0, 0.25},
                           {"", 0.0, 0.25}};

uint64_t Fnv1a64(std::string_view text) {
  uint64_t state = 0xcbf29ce484222325;
  for (unsigned char byte : text) state = (state ^ byte) * 0x100000001b3;
  return state;
}

uint64_t SplitMix64(uint64_t value) {
  uint64_t z = value + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

int64_t Product(const std::vector<int64_t>& shape) {
  int64_t product = 1;
  for (int64_t dimension : shape) product *= dimension;
  return product;
}

json TinyConfig(const TinyModelOptions& options) {
  return {{"model_type", options.family},
          {"vocab_size", options.vocab_size},
          {"hidden_size", options.hidden_size},
          {"intermediate_size", options.intermediate_size},
          {"num_hidden_layers", options.num_layers},
          {"num_attention_heads", options.num_heads},
          {"num_key_value_heads", options.num_kv_heads},
          {"head_dim", options.head_dim},
          {"max_position_embeddings", options.max_positions},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"tie_word_embeddings", true},
          {"eos_token_id", 2},
          {"hidden_act", "silu"}};
}

void CopyTokenizer(const std::string& directory) {
  for (const auto& entry : fs::directory_iterator(CACHECLIP_SOURCE_DIR "/tests/data/text/tiny-chatml"))
    fs::copy_file(entry.path(), fs::path(directory) / entry.path().filename(),
                  fs::copy_options::overwrite_existing);
}

// The values of a tensor of this name and shape.
using TensorValues = std::function<std::vector<float>(const std::string&, const std::vector<int64_t>&)>;

void WriteCheckpoint(const std::string& directory, const json& config,
                     const std::map<std::string, std::vector<int64_t>>& tensors,
                     const TensorValues& values_of) {
  fs::create_directories(directory);
  std::ofstream(directory + "/config.json") << config.dump(2);
  json header;
  uint64_t offset = 0;
  for (const auto& [name, shape] : tensors) {
    const uint64_t end = offset + static_cast<uint64_t>(Product(shape)) * sizeof(float);
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  const std::string text = header.dump();
  const uint64_t header_bytes = text.size();
  std::ofstream file(directory + "/model.safetensors", std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes) << text;
  for (const auto& [name, shape] : tensors) {
    const std::vector<float> values = values_of(name, shape);
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(float)));
  }
}

// [heads × head_dim, hidden]: each head reads the dimensions that its KV head reads, `scale` times.
std::vector<float> MatchingProjection(const std::vector<int64_t>& shape, const TinyModelOptions& options,
                                      int num_heads, float scale) {
  std::vector<float> values(static_cast<size_t>(Product(shape)));
  const int heads_per_kv_head = num_heads / options.num_kv_heads;
  for (int64_t row = 0; row < shape[0]; ++row) {
    const int64_t kv_head = row / options.head_dim / heads_per_kv_head;
    const int64_t column = (kv_head * options.head_dim + row % options.head_dim) % shape[1];
    values[static_cast<size_t>(row * shape[1] + column)] = scale;
  }
  return values;
}

}  // namespace

std::vector<float> FormulaValues(std::string_view name, int64_t num_values, std::string_view seed) {
  const Rule* rule = kRules;
  while (!name.ends_with(rule->suffix)) ++rule;
  const uint64_t state = Fnv1a64(std::string(name) + std::string(seed));
  std::vector<float> values(static_cast<size_t>(num_values));
  for (size_t i = 0; i < values.size(); ++i) {
    const double x = (static_cast<double>(SplitMix64(state + i) >> 40) / 16777216.0 - 0.5) * 2.0;
    values[i] = static_cast<float>(rule->offset + rule->scale * x);
  }
  return values;
}

std::map<std::string, std::vector<int64_t>> FormulaTensors(const json& config) {
  const int64_t hidden = config["hidden_size"], inner = config["intermediate_size"],
                vocab = config["vocab_size"];
  const int64_t dim = config["head_dim"], queries = config["num_attention_heads"].get<int64_t>() * dim;
  const int64_t kv = config["num_key_value_heads"].get<int64_t>() * dim;
  const std::string family = config["model_type"];
  std::map<std::string, std::vector<int64_t>> tensors = {{"model.embed_tokens.weight", {vocab, hidden}},
                                                         {"model.norm.weight", {hidden}}};
  if (!config.value("tie_word_embeddings", false)) tensors["lm_head.weight"] = {vocab, hidden};
  for (int i = 0; i < config["num_hidden_layers"].get<int>(); ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".", attention = layer + "self_attn.";
    tensors[layer + "input_layernorm.weight"] = tensors[layer + "post_attention_layernorm.weight"] = {hidden};
    tensors[attention + "q_proj.weight"] = {queries, hidden};
    tensors[attention + "k_proj.weight"] = tensors[attention + "v_proj.weight"] = {kv, hidden};
    tensors[attention + "o_proj.weight"] = {hidden, queries};
    tensors[layer + "mlp.gate_proj.weight"] = tensors[layer + "mlp.up_proj.weight"] = {inner, hidden};
    tensors[layer + "mlp.down_proj.weight"] = {hidden, inner};
    if (family == "qwen2") {
      tensors[attention + "q_proj.bias"] = {queries};
      tensors[attention + "k_proj.bias"] = tensors[attention + "v_proj.bias"] = {kv};
    }
    if (family == "qwen3")
      tensors[attention + "q_norm.weight"] = tensors[attention + "k_norm.weight"] = {dim};
  }
  return tensors;
}

std::string WriteFormulaModel(const std::string& directory, const json& config,
                              const std::map<std::string, std::vector<int64_t>>& tensors,
                              const std::string& seed) {
  WriteCheckpoint(directory, config, tensors,
                  [&](const std::string& name, const std::vector<int64_t>& shape) {
                    return FormulaValues(name, Product(shape), seed);
                  });
  return directory;
}

std::string WriteTinyModel(const std::string& directory, const TinyModelOptions& options) {
  const json config = TinyConfig(options);
  WriteFormulaModel(directory, config, FormulaTensors(config), options.seed);
  if (options.with_tokenizer) CopyTokenizer(directory);
  return directory;
}

std::string WriteMatchingModel(const std::string& directory, TinyModelOptions options) {
  constexpr float kScale =
      1.5f;                  // equal tokens: logits of about 18 in heads of 64 dimensions; others: about 2
  options.family = "llama";  // no biases, no norms of heads
  json config = TinyConfig(options);
  config["rope_theta"] = 1e9;  // most pairs hardly turn: words match at any distance
  const auto values_of = [&](const std::string& name,
                             const std::vector<int64_t>& shape) -> std::vector<float> {
    if (name.ends_with("embed_tokens.weight")) return FormulaValues(name, Product(shape), options.seed);
    if (name.ends_with("q_proj.weight")) return MatchingProjection(shape, options, options.num_heads, kScale);
    if (name.ends_with("k_proj.weight"))
      return MatchingProjection(shape, options, options.num_kv_heads, kScale);
    return std::vector<float>(static_cast<size_t>(Product(shape)),
                              name.ends_with("norm.weight") ? 1.0f : 0.0f);
  };
  WriteCheckpoint(directory, config, FormulaTensors(config), values_of);
  if (options.with_tokenizer) CopyTokenizer(directory);
  return directory;
}

void MakeByteTokenizer(const std::string& directory) {
  const std::string path = directory + "/tokenizer.json";
  json tokenizer = json::parse(std::ifstream(path));
  tokenizer["model"]["merges"] = json::array();
  std::ofstream(path) << tokenizer.dump();
}

}  // namespace cacheclip
