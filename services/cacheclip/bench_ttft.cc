#include <string>
#include <utility>

#include "common/base/status.h"
#include "services/cacheclip/bench.h"
#include "services/cacheclip/bench_stored.h"

namespace cacheclip {
namespace {

// The physical limits beside the result.
nlohmann::json LimitsJson(const LanguageModel& model, const PromptShape& shape) {
  const MachineLimits limits = MeasureMachineLimits(model);
  const double full = FloorSeconds(FullPrefillCost(model.config(), shape), limits);
  const double floor = TtftFloorSeconds(model.config(), shape, limits);
  return {{"gemm_tflops_per_second", limits.gemm_flops_per_second / 1e12},
          {"attention_tflops_per_second", limits.attention_flops_per_second / 1e12},
          {"read_gigabytes_per_second", limits.read_bytes_per_second / 1e9},
          {"giga_exponentials_per_second", limits.exponentials_per_second / 1e9},
          {"num_threads", limits.num_threads},
          {"full_prefill_floor_seconds", full},
          {"ttft_floor_seconds", floor},
          {"ideal_speedup", floor > 0 ? full / floor : 0}};
}

nlohmann::json Report(const TtftBenchOptions& options, const MeasuredMethod& full, const MeasuredMethod& run,
                      nlohmann::json limits) {
  nlohmann::json fallbacks = nlohmann::json::array();
  for (const Fallback& fallback : run.usage.fallbacks)
    fallbacks.push_back(fallback.reason + ": " + fallback.detail);
  return {{"benchmark", "ttft"},
          {"method", std::string(MethodId(run.usage.method))},
          {"asked_method", options.method},
          {"context_tokens", run.usage.context_tokens},
          {"chunk_tokens", options.chunk_tokens},
          {"prompt_tokens", run.usage.prompt_tokens},
          {"budget", options.budget},
          {"charged_budget", run.usage.charged_budget},
          {"recomputed_tokens", run.usage.recomputed_tokens},
          {"reencoded_tokens", run.usage.reencoded_tokens},
          {"full_prefill_seconds", full.seconds},
          {"ttft_seconds", run.seconds},
          {"ttft_range_seconds", {run.fastest_seconds, run.slowest_seconds}},
          {"speedup", run.seconds > 0 ? full.seconds / run.seconds : 0},
          {"limits", std::move(limits)},
          {"stage_seconds", run.stages},
          {"full_prefill_stage_seconds", full.stages},
          {"fallbacks", fallbacks},
          {"repeat", options.repeat}};
}

}  // namespace

absl::StatusOr<nlohmann::json> BenchTtft(const Config& config, const TtftBenchOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(const Method method, ParseMethod(options.method));
  CACHECLIP_ASSIGN_OR_RETURN(const auto stored,
                             StoredContext::Open(config, {.context_tokens = options.context_tokens,
                                                          .chunk_tokens = options.chunk_tokens}));
  CACHECLIP_ASSIGN_OR_RETURN(const MeasuredMethod run,
                             stored->Measure(method, options.budget, options.repeat));
  CACHECLIP_ASSIGN_OR_RETURN(const MeasuredMethod full,
                             stored->Measure(Method::kFull, options.budget, options.repeat));
  return Report(options, full, run, LimitsJson(stored->model(), stored->ShapeOf(run.usage)));
}

}  // namespace cacheclip
