#include <string>
#include <utility>

#include "common/base/status.h"
#include "services/cacheclip/bench.h"
#include "services/cacheclip/bench_stored.h"
#include "services/cacheclip/console.h"

namespace cacheclip {

absl::StatusOr<nlohmann::json> BenchSelect(const Config& config, const SelectBenchOptions& options) {
  std::vector<Method> methods;
  for (const std::string& name : options.methods) {
    CACHECLIP_ASSIGN_OR_RETURN(methods.emplace_back(), ParseMethod(name));
  }
  CACHECLIP_ASSIGN_OR_RETURN(const auto stored,
                             StoredContext::Open(config, {.context_tokens = options.context_tokens,
                                                          .chunk_tokens = options.chunk_tokens}));
  CACHECLIP_ASSIGN_OR_RETURN(const MeasuredMethod full,
                             stored->Measure(Method::kFull, options.budget, options.repeat));
  nlohmann::json results = nlohmann::json::array();
  ProgressLine progress;
  for (size_t i = 0; i < methods.size(); ++i) {
    CACHECLIP_ASSIGN_OR_RETURN(const MeasuredMethod run,
                               stored->Measure(methods[i], options.budget, options.repeat));
    const double seconds = run.stages.value(std::string(StageName(Stage::kSelect)), 0.0);
    results.push_back({{"asked_method", options.methods[i]},
                       {"method", std::string(MethodId(run.usage.method))},
                       {"selection_seconds", seconds},
                       {"share_of_full_prefill", seconds / full.seconds},
                       {"recomputed_tokens", run.usage.recomputed_tokens},
                       {"ttft_seconds", run.seconds},
                       {"speedup", full.seconds / run.seconds}});
    progress.Update("select", static_cast<int64_t>(i) + 1, static_cast<int64_t>(methods.size()));
  }
  const MachineLimits limits = MeasureMachineLimits(stored->model());
  return nlohmann::json{{"benchmark", "select"},
                        {"context_tokens", options.context_tokens},
                        {"chunk_tokens", options.chunk_tokens},
                        {"budget", options.budget},
                        {"full_prefill_seconds", full.seconds},
                        {"gemm_tflops_per_second", limits.gemm_flops_per_second / 1e12},
                        {"attention_tflops_per_second", limits.attention_flops_per_second / 1e12},
                        {"num_threads", limits.num_threads},
                        {"repeat", options.repeat},
                        {"results", std::move(results)}};
}

}  // namespace cacheclip
