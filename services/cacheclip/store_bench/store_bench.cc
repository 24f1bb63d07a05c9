#include "services/cacheclip/store_bench/store_bench.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/model/language_model.h"
#include "common/model/machine_probe.h"
#include "services/cacheclip/store_bench/sample_chunks.h"
#include "services/cacheclip/store_bench/tier_benches.h"
#include "services/runtime/paths.h"
#include "services/runtime/service_runtime.h"

namespace cacheclip {
namespace {

using TierBench = absl::Status (*)(const StoreBench& bench);
constexpr std::pair<const char*, TierBench> kTierBenches[] = {{"memory", BenchMemoryTier},
                                                              {"disk", BenchDiskTier},
                                                              {"redis", BenchRedisTier},
                                                              {"object", BenchObjectTier}};

TierBench Find(const std::string& tier) {
  for (const auto& [name, bench] : kTierBenches)
    if (name == tier) return bench;
  return nullptr;
}

absl::StatusOr<std::string> FolderOf(const Config& config, const StoreBenchOptions& options) {
  if (!options.folder.empty()) return options.folder;
  std::string folder = DataFolder(config);
  CACHECLIP_RETURN_IF_ERROR(MakeDataFolder(folder));
  return folder;
}

std::string Rate(const nlohmann::json& spread) {
  return absl::StrFormat("%7.2f (%.2f-%.2f)", spread["median"].get<double>() / 1e9,
                         spread["low"].get<double>() / 1e9, spread["high"].get<double>() / 1e9);
}

std::string Share(const nlohmann::json& row) {
  const nlohmann::json& ratio = row["ratio"];
  std::string text = absl::StrFormat("%3.0f %% (%.0f-%.0f)", 100 * ratio["median"].get<double>(),
                                     100 * ratio["low"].get<double>(), 100 * ratio["high"].get<double>());
  const auto target = row["target"].get<double>();
  if (target > 0) absl::StrAppend(&text, absl::StrFormat(", aim %.0f", 100 * target));
  return text;
}

}  // namespace

absl::Status ValidateStoreBench(const StoreBenchOptions& options) {
  const auto within = [](const char* field, int value, int low, int high) {
    if (value >= low && value <= high) return absl::OkStatus();
    return InvalidField(field, absl::StrCat("must be ", low, " to ", high, ", got ", value));
  };
  CACHECLIP_RETURN_IF_ERROR(within("chunk", options.chunk_tokens, 1, kMaxChunkTokens));
  CACHECLIP_RETURN_IF_ERROR(within("chunks", options.num_chunks, 1, kMaxBenchChunks));
  CACHECLIP_RETURN_IF_ERROR(within("repeat", options.repeat, 1, 1000));
  CACHECLIP_RETURN_IF_ERROR(within("threads", options.num_threads, 0, kMaxBenchThreads));
  if (options.tiers.empty()) return InvalidField("tiers", "must name a tier");
  for (const std::string& tier : options.tiers)
    if (Find(tier) == nullptr) return InvalidField("tiers", absl::StrCat("there is no tier \"", tier, "\""));
  return absl::OkStatus();
}

absl::StatusOr<nlohmann::json> BenchStore(const Config& config, const StoreBenchOptions& asked) {
  CACHECLIP_RETURN_IF_ERROR(ValidateStoreBench(asked));
  StoreBenchOptions options = asked;
  if (options.num_threads == 0)
    options.num_threads =
        std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxBenchThreads);
  SetComputeThreads(options.num_threads);
  CACHECLIP_ASSIGN_OR_RETURN(const ModelOptions model_options, ModelOptionsOf(config, ModelFolder(config)));
  CACHECLIP_ASSIGN_OR_RETURN(const auto model, LanguageModel::Load(model_options));
  CACHECLIP_ASSIGN_OR_RETURN(
      const SampleChunks chunks,
      MakeSampleChunks(model->kv_shape(), options.chunk_tokens, options.num_chunks,
                       absl::StrCat("bench ", ::getpid(), " ", absl::ToUnixNanos(absl::Now()))));
  nlohmann::json rows = nlohmann::json::array(), skipped = nlohmann::json::array();
  CACHECLIP_ASSIGN_OR_RETURN(const std::string folder, FolderOf(config, options));
  const StoreBench bench{config, options, model, chunks, rows, folder};
  for (const std::string& tier : options.tiers) {
    const absl::Status status = Find(tier)(bench);
    if (absl::IsUnavailable(status)) {
      skipped.push_back({{"tier", tier}, {"reason", std::string(status.message())}});
    } else {
      CACHECLIP_RETURN_IF_ERROR(status);
    }
  }
  return nlohmann::json{{"benchmark", "store"},
                        {"model", model->name()},
                        {"kv_shape", model->kv_shape().ToString()},
                        {"chunk_tokens", options.chunk_tokens},
                        {"chunk_bytes", chunks[0]->total_bytes()},
                        {"num_chunks", options.num_chunks},
                        {"num_threads", options.num_threads},
                        {"repeat", options.repeat},
                        {"results", std::move(rows)},
                        {"skipped", std::move(skipped)}};
}

std::string StoreBenchTable(const nlohmann::json& report) {
  std::string text = absl::StrFormat(
      "%d chunks of %d tokens, %.1f MB each (%s); %d threads; medians and ranges of %d rounds\n\n",
      report["num_chunks"].get<int>(), report["chunk_tokens"].get<int>(),
      report["chunk_bytes"].get<double>() / 1e6, report["kv_shape"].get<std::string>(),
      report["num_threads"].get<int>(), report["repeat"].get<int>());
  absl::StrAppendFormat(&text, "%-7s %-28s %-22s %-22s %-22s %s\n", "tier", "operation", "GB/s", "limit GB/s",
                        "share of the limit", "limit");
  for (const nlohmann::json& row : report["results"]) {
    const bool has_limit = row.contains("ratio");
    std::string rate = Rate(row["bytes_per_second"]);
    if (row.contains("seconds_per_chunk"))
      rate = absl::StrFormat("%.2f us a chunk", row["seconds_per_chunk"].get<double>() * 1e6);
    absl::StrAppendFormat(&text, "%-7s %-28s %-22s %-22s %-22s %s\n", row["tier"].get<std::string>(),
                          row["operation"].get<std::string>(), rate,
                          has_limit ? Rate(row["limit_bytes_per_second"]) : "", has_limit ? Share(row) : "",
                          has_limit ? row["limit"].get<std::string>() : "none");
  }
  for (const nlohmann::json& skip : report["skipped"])
    absl::StrAppendFormat(&text, "%-7s not measured: %s\n", skip["tier"].get<std::string>(),
                          skip["reason"].get<std::string>());
  return text;
}

}  // namespace cacheclip
