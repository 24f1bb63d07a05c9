// Small models for tests, written to a folder as a Hugging Face checkpoint: config.json, model.safetensors
// with weights from the formula of tools/golden/formula_weights.py (bit for bit), and a copy of the tiny chat
// tokenizer. Random weights: they answer nonsense, but every mechanism runs for real. Functions only;
// thread-safe on distinct folders.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace cacheclip {

struct TinyModelOptions {
  std::string family = "llama";
  int vocab_size = 1024;  // the tiny tokenizer's
  int hidden_size = 128, intermediate_size = 256, num_layers = 6, num_heads = 4, num_kv_heads = 2,
      head_dim = 64;
  int max_positions = 4096;
  std::string seed;            // another seed, another model
  bool with_tokenizer = true;  // copy tests/data/text/tiny-chatml
};

// Writes the model into `directory` (created if missing) and returns it.
std::string WriteTinyModel(const std::string& directory, const TinyModelOptions& options = {});

// A model of the same shape that finds by matching words: its queries and keys are the embeddings of the
// tokens, and nothing is added to those from layer to layer, so that every row attends to the tokens it is
// equal to. Its answers are nonsense; as an auxiliary it points at the text that repeats the question's rare
// tokens.
std::string WriteMatchingModel(const std::string& directory, TinyModelOptions options = {});

// Takes the merges out of the tokenizer in `directory`, so that every byte is a token of its own.
void MakeByteTokenizer(const std::string& directory);

// Writes any configuration: `config` is the content of config.json.
std::string WriteFormulaModel(const std::string& directory, const nlohmann::json& config,
                              const std::map<std::string, std::vector<int64_t>>& tensors,
                              const std::string& seed = "");

// Names and shapes of a configuration's tensors, in Hugging Face's terms.
std::map<std::string, std::vector<int64_t>> FormulaTensors(const nlohmann::json& config);

// One tensor's values by the formula.
std::vector<float> FormulaValues(std::string_view name, int64_t num_values, std::string_view seed = "");

}  // namespace cacheclip
