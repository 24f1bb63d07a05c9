#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/model/inference_session.h"
#include "common/model/language_model.h"
#include "common/model/prompt_tokens.h"
#include "services/cacheclip/bench.h"
#include "services/cacheclip/console.h"
#include "services/runtime/paths.h"
#include "services/runtime/service_runtime.h"

namespace cacheclip {
namespace {

absl::StatusOr<double> PrefillSeconds(std::shared_ptr<const LanguageModel> model,
                                      const PromptTokens& prompt) {
  CACHECLIP_ASSIGN_OR_RETURN(const auto session, InferenceSession::Create(std::move(model), prompt.size()));
  const auto start = std::chrono::steady_clock::now();
  CACHECLIP_RETURN_IF_ERROR(session->Run(FullRows(prompt)).status());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Standard output of `command`; the command's own errors go to stderr.
absl::StatusOr<std::string> OutputOf(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return absl::InternalError(absl::StrCat("cannot run ", command));
  std::string output;
  char block[4096];
  while (const size_t count = fread(block, 1, sizeof(block), pipe)) output.append(block, count);
  if (const int status = pclose(pipe); status != 0)
    return absl::InternalError(absl::StrCat(command, " ended with status ", status));
  return output;
}

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

absl::StatusOr<nlohmann::json> RunTransformers(const Config& config, const PrefillBenchOptions& options) {
  const std::string tools = absl::StrCat(CACHECLIP_TOOLS_DIR, "/golden");
  CACHECLIP_ASSIGN_OR_RETURN(
      std::string python,
      OutputOf(absl::StrCat(Quoted(absl::StrCat(CACHECLIP_TOOLS_DIR, "/setup/python_environment.sh")),
                            " golden")));
  python = std::string(absl::StripAsciiWhitespace(python));
  CACHECLIP_ASSIGN_OR_RETURN(
      const std::string text,
      OutputOf(absl::StrCat(Quoted(python), " ", Quoted(absl::StrCat(tools, "/bench_transformers.py")),
                            " --model ", Quoted(ModelFolder(config)), " --tokens ",
                            absl::StrJoin(options.token_counts, ","), " --repeats ", options.repeat,
                            " --json")));
  nlohmann::json result = nlohmann::json::parse(text, nullptr, false);
  if (result.is_discarded())
    return absl::InternalError(absl::StrCat("bench_transformers.py answered ", text));
  return result;
}

// The peer's row for `tokens`, whatever else it reports.
double PeerTokensPerSecond(const nlohmann::json& peer, int tokens) {
  for (const nlohmann::json& row : peer.value("results", nlohmann::json::array()))
    if (row.value("tokens", 0) == tokens) return row.value("tokens_per_second", 0.0);
  return 0;
}

// Runs the peer and puts our speed over its into each row.
absl::Status AddPeer(const Config& config, const PrefillBenchOptions& options, nlohmann::json& report) {
  CACHECLIP_ASSIGN_OR_RETURN(report["peer"], RunTransformers(config, options));
  for (nlohmann::json& row : report["results"]) {
    const double peer = PeerTokensPerSecond(report["peer"], row["tokens"].get<int>());
    if (peer > 0) row["ratio_to_peer"] = row["tokens_per_second"].get<double>() / peer;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<nlohmann::json> BenchPrefill(const Config& config, const PrefillBenchOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(const ModelOptions model_options, ModelOptionsOf(config, ModelFolder(config)));
  CACHECLIP_ASSIGN_OR_RETURN(const auto model, LanguageModel::Load(model_options));
  CACHECLIP_RETURN_IF_ERROR(PrefillSeconds(model, BenchPrompt(*model, 64)).status());  // warm up
  const MachineLimits limits = MeasureMachineLimits(*model);
  nlohmann::json results = nlohmann::json::array();
  ProgressLine progress;
  for (size_t i = 0; i < options.token_counts.size(); ++i) {
    const int tokens = options.token_counts[i];
    const PromptTokens prompt = BenchPrompt(*model, tokens);
    std::vector<double> seconds;
    for (int round = 0; round < options.repeat; ++round) {
      CACHECLIP_ASSIGN_OR_RETURN(const double measured, PrefillSeconds(model, prompt));
      seconds.push_back(measured);
    }
    const double median = Median(seconds);
    const double floor = FloorSeconds(CostOfPass(model->config(), tokens, tokens / 2.0), limits);
    results.push_back(
        {{"tokens", tokens},
         {"seconds", median},
         {"range_seconds", {*std::ranges::min_element(seconds), *std::ranges::max_element(seconds)}},
         {"tokens_per_second", tokens / median},
         {"floor_seconds", floor},
         {"share_of_limit", floor / median}});
    progress.Update("prefill", static_cast<int64_t>(i) + 1,
                    static_cast<int64_t>(options.token_counts.size()));
  }
  nlohmann::json report = {{"benchmark", "prefill"},
                           {"model", model->name()},
                           {"dtype", std::string(ComputeDtypeName(model->options().dtype))},
                           {"weights", config.weights},
                           {"repeat", options.repeat},
                           {"results", std::move(results)},
                           {"gemm_tflops_per_second", limits.gemm_flops_per_second / 1e12},
                           {"attention_tflops_per_second", limits.attention_flops_per_second / 1e12},
                           {"num_threads", limits.num_threads}};
  if (!options.peer.empty()) CACHECLIP_RETURN_IF_ERROR(AddPeer(config, options, report));
  return report;
}

}  // namespace cacheclip
