#include <string>
#include <utility>

#include "common/base/status.h"
#include "services/cacheclip/bench.h"
#include "services/cacheclip/bench_stored.h"
#include "services/cacheclip/console.h"

namespace cacheclip {

absl::StatusOr<nlohmann::json> BenchRecompute(const Config& config, const RecomputeBenchOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(const Method method, ParseMethod(options.method));
  CACHECLIP_ASSIGN_OR_RETURN(const auto stored,
                             StoredContext::Open(config, {.context_tokens = options.context_tokens,
                                                          .chunk_tokens = options.chunk_tokens}));
  const MachineLimits limits = MeasureMachineLimits(stored->model());
  std::vector<double> tokens, seconds;
  nlohmann::json results = nlohmann::json::array();
  ProgressLine progress;
  for (size_t i = 0; i < options.budgets.size(); ++i) {
    const double budget = options.budgets[i];
    CACHECLIP_ASSIGN_OR_RETURN(const MeasuredMethod run, stored->Measure(method, budget, options.repeat));
    tokens.push_back(static_cast<double>(run.usage.recomputed_tokens));
    seconds.push_back(run.stages.value(std::string(StageName(Stage::kRecompute)), 0.0));
    results.push_back({{"budget", budget},
                       {"charged_budget", run.usage.charged_budget},
                       {"recomputed_tokens", run.usage.recomputed_tokens},
                       {"recompute_seconds", seconds.back()}});
    progress.Update("recompute", static_cast<int64_t>(i) + 1, static_cast<int64_t>(options.budgets.size()));
  }
  nlohmann::json report = {{"benchmark", "recompute"},
                           {"method", options.method},
                           {"context_tokens", options.context_tokens},
                           {"chunk_tokens", options.chunk_tokens},
                           {"gemm_tflops_per_second", limits.gemm_flops_per_second / 1e12},
                           {"attention_tflops_per_second", limits.attention_flops_per_second / 1e12},
                           {"num_threads", limits.num_threads},
                           {"repeat", options.repeat},
                           {"results", std::move(results)}};
  if (tokens.size() > 1 && tokens.front() != tokens.back()) {
    const Line line = FitLine(tokens, seconds);
    report["line"] = {{"seconds_without_tokens", line.at_zero},
                      {"seconds_per_token", line.slope},
                      {"largest_deviation", line.largest_deviation}};
  }
  return report;
}

}  // namespace cacheclip
