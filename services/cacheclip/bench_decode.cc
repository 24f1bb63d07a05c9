#include <algorithm>
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/model/inference_session.h"
#include "common/model/language_model.h"
#include "services/cacheclip/bench.h"
#include "services/cacheclip/console.h"
#include "services/runtime/paths.h"
#include "services/runtime/service_runtime.h"

namespace cacheclip {
namespace {

// Seconds of each token behind a prompt of `context_tokens`.
absl::StatusOr<std::vector<double>> DecodeSeconds(std::shared_ptr<const LanguageModel> model,
                                                  int context_tokens, int num_tokens) {
  const PromptTokens prompt = BenchPrompt(*model, context_tokens);
  CACHECLIP_ASSIGN_OR_RETURN(const auto session,
                             InferenceSession::Create(std::move(model), context_tokens + num_tokens));
  CACHECLIP_ASSIGN_OR_RETURN(Logits logits, session->Run(FullRows(prompt)));
  std::vector<double> seconds;
  for (int i = 0; i < num_tokens; ++i) {
    const auto id = static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
    const absl::Time begin = absl::Now();
    CACHECLIP_ASSIGN_OR_RETURN(logits, session->Decode(id));
    seconds.push_back(absl::ToDoubleSeconds(absl::Now() - begin));
  }
  return seconds;
}

}  // namespace

absl::StatusOr<nlohmann::json> BenchDecode(const Config& config, const DecodeBenchOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(const ModelOptions model_options, ModelOptionsOf(config, ModelFolder(config)));
  const absl::Time begin = absl::Now();
  CACHECLIP_ASSIGN_OR_RETURN(const auto model, LanguageModel::Load(model_options));
  const double load_seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  CACHECLIP_RETURN_IF_ERROR(DecodeSeconds(model, 64, 8).status());  // warm up
  const MachineLimits limits = MeasureMachineLimits(*model);
  nlohmann::json results = nlohmann::json::array();
  ProgressLine progress;
  for (size_t i = 0; i < options.context_tokens.size(); ++i) {
    const int context = options.context_tokens[i];
    CACHECLIP_ASSIGN_OR_RETURN(std::vector<double> seconds,
                               DecodeSeconds(model, context, options.num_tokens));
    std::ranges::sort(seconds);
    const double median = Median(seconds);
    // The weights once, and what is in the cache halfway.
    const double bytes =
        static_cast<double>(model->weight_bytes()) +
        static_cast<double>(InferenceSession::CacheBytes(*model, context + options.num_tokens / 2));
    const double floor = bytes / limits.read_bytes_per_second;
    results.push_back({{"context_tokens", context},
                       {"seconds_per_token", median},
                       {"fastest_tenth_seconds", seconds[seconds.size() / 10]},
                       {"slowest_tenth_seconds", seconds[seconds.size() - 1 - seconds.size() / 10]},
                       {"tokens_per_second", 1 / median},
                       {"bytes_per_token", bytes},
                       {"floor_seconds", floor},
                       {"share_of_limit", floor / median}});
    progress.Update("decode", static_cast<int64_t>(i) + 1,
                    static_cast<int64_t>(options.context_tokens.size()));
  }
  return nlohmann::json{{"benchmark", "decode"},
                        {"model", model->name()},
                        {"dtype", std::string(ComputeDtypeName(model->options().dtype))},
                        {"weights", config.weights},
                        {"weight_bytes", model->weight_bytes()},
                        {"load_seconds", load_seconds},
                        {"tokens", options.num_tokens},
                        {"results", std::move(results)},
                        {"read_gigabytes_per_second", limits.read_bytes_per_second / 1e9},
                        {"num_threads", limits.num_threads}};
}

}  // namespace cacheclip
