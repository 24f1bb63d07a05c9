// The measurements behind `cacheclip bench`. Each runs the real parts in this process (models, stores,
// engine; the selector over gRPC on loopback) and returns what it measured as JSON, physical or arithmetic
// limits beside it. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/model/config.h"
#include "common/model/language_model.h"
#include "common/model/machine_probe.h"
#include "common/model/prompt_tokens.h"
#include "services/runtime/config.h"

namespace cacheclip {

// Question: how long until the first token over `context_tokens` of stored chunks, against full prefill in
// the same run?
struct TtftBenchOptions {
  int context_tokens = 4096;  // chunk tokens
  int chunk_tokens = 512;
  double budget = 0.2;
  std::string method = "auxiliary";
  int repeat = 3;  // medians are reported
};
absl::StatusOr<nlohmann::json> BenchTtft(const Config& config, const TtftBenchOptions& options);

// Question: how many prompt tokens a second does full prefill process?
struct PrefillBenchOptions {
  std::vector<int> token_counts = {512, 2048, 4096};
  int repeat = 3;
  std::string peer;  // "" or "transformers": also run tools/golden/bench_transformers.py
};
absl::StatusOr<nlohmann::json> BenchPrefill(const Config& config, const PrefillBenchOptions& options);

// Question: how many tokens a second does one sequence decode behind a context?
struct DecodeBenchOptions {
  std::vector<int> context_tokens = {16, 1024, 4096};
  int num_tokens = 64;  // of which medians and tenths are reported
};
absl::StatusOr<nlohmann::json> BenchDecode(const Config& config, const DecodeBenchOptions& options);

// Question: what does choosing tokens cost, by method, against full prefill in the same run?
struct SelectBenchOptions {
  std::vector<std::string> methods = {"auxiliary", "auxiliary_paper", "primary_probe", "kv_deviation",
                                      "chunk_head"};
  int context_tokens = 4096;
  int chunk_tokens = 512;
  double budget = 0.2;
  int repeat = 3;
};
absl::StatusOr<nlohmann::json> BenchSelect(const Config& config, const SelectBenchOptions& options);

// Question: does the time of recomputing grow with the number of selected tokens, and with nothing else?
struct RecomputeBenchOptions {
  std::vector<double> budgets = {0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8};
  std::string method = "random";  // which costs nothing and spreads the tokens
  int context_tokens = 4096;
  int chunk_tokens = 512;
  int repeat = 3;
};
absl::StatusOr<nlohmann::json> BenchRecompute(const Config& config, const RecomputeBenchOptions& options);

double Median(std::vector<double> values);  // 0 for none

// The line of least squares through at least two points of different x.
struct Line {
  double at_zero = 0, slope = 0;
  double largest_deviation = 0;  // of a point, as a share of the highest
};
Line FitLine(const std::vector<double>& x, const std::vector<double>& y);

// A prompt of plain tokens that repeats itself only after the vocabulary.
PromptTokens BenchPrompt(const LanguageModel& model, int num_tokens);

// What a measured request consisted of.
struct PromptShape {
  int64_t prefix_tokens = 0, context_tokens = 0, suffix_tokens = 0, recomputed_tokens = 0;
  double stored_bytes = 0;  // KV read from the stores
};
PassCost FullPrefillCost(const ModelConfig& model, const PromptShape& shape);
PassCost RecomputeCost(const ModelConfig& model, const PromptShape& shape);  // selected tokens and suffix

// The machine's limit for time to first token: the larger of loading and recomputing, and the scoring of the
// question's rows.
double TtftFloorSeconds(const ModelConfig& model, const PromptShape& shape, const MachineLimits& limits);

}  // namespace cacheclip
