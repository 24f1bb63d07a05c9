#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <stdlib.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/engine/generation_engine.h"
#include "common/rpc/rpc_server.h"
#include "services/cacheclip/bench.h"
#include "services/cacheclip/console.h"
#include "services/runtime/selector_link.h"
#include "services/runtime/server_host.h"
#include "services/runtime/service_runtime.h"
#include "services/selector/selector_service.h"

namespace cacheclip {
namespace {

constexpr char kNamespace[] = "bench";
constexpr char kQuestion[] = "Which harbour did the third ship leave, and on which day?";
constexpr const char* kWords[] = {"the",     "ship", "left", "harbour", "with",   "grain",  "and",  "timber",
                                  "for",     "a",    "long", "voyage",  "north",  "on",     "day",  "under",
                                  "captain", "of",   "blue", "water",   "before", "winter", "came", "again"};

// Running text, another for each chunk.
std::string MakeText(int chunk_index, int num_words) {
  std::string text;
  uint32_t state = 2654435761u * (chunk_index + 1);
  for (int i = 0; i < num_words; ++i) {
    state = state * 1664525u + 1013904223u;
    absl::StrAppend(&text, i == 0 ? "" : " ", kWords[(state >> 16) % std::size(kWords)]);
    if (i % 12 == 11) absl::StrAppend(&text, " ", (state >> 8) % 1000, ".");
  }
  return text;
}

// The longest such text of at most `num_tokens` tokens, separator included.
absl::StatusOr<std::pair<std::string, Encoding>> MakeChunk(const PrefixContext& context, int chunk_index,
                                                           int num_tokens) {
  std::pair<std::string, Encoding> best;
  int low = 1, high = num_tokens;
  while (low <= high) {
    const int middle = (low + high) / 2;
    std::string text = MakeText(chunk_index, middle);
    CACHECLIP_ASSIGN_OR_RETURN(Encoding encoding, context.TokenizeChunk(text, ""));
    if (static_cast<int>(encoding.ids.size()) <= num_tokens) {
      best = {std::move(text), std::move(encoding)};
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  if (best.first.empty()) return InvalidField("chunk", "is too small for one word");
  return best;
}

// Encodes and stores the context and enters it in the catalogue, as ingestion would; returns the chunk ids.
absl::StatusOr<std::vector<ChunkInput>> StoreContext(PrefixContexts& contexts,
                                                     const TtftBenchOptions& options) {
  const Runtime& runtime = contexts.runtime();
  PrefixSpec spec;
  spec.system_prompt = "You answer questions about the documents.";
  CACHECLIP_RETURN_IF_ERROR(contexts.Register(kNamespace, spec, true).status());
  CACHECLIP_ASSIGN_OR_RETURN(const auto context, contexts.Get(kNamespace, ""));
  Document document{.namespace_name = kNamespace,
                    .document_id = "bench",
                    .content_digest = "bench",
                    .prefix_id = context->record().prefix_id,
                    .writer_version = kWriterVersion};
  std::vector<ChunkRecord> records;
  std::vector<ChunkInput> inputs;
  ProgressLine progress;
  for (int done = 0; done < options.context_tokens; done += options.chunk_tokens) {
    const int index = static_cast<int>(records.size());
    const int wanted = std::min(options.chunk_tokens, options.context_tokens - done);
    CACHECLIP_ASSIGN_OR_RETURN(auto chunk, MakeChunk(*context, index, wanted));
    CACHECLIP_ASSIGN_OR_RETURN(auto encoded,
                               context->Encode(chunk.second, TaskPriority::kBackground, CancellationToken()));
    const std::string id = encoded->key().ToHex();
    records.push_back({kNamespace, id, context->record().prefix_id, "", chunk.first,
                       static_cast<int32_t>(chunk.second.ids.size())});
    document.chunks.push_back({id, 0, 0});
    inputs.push_back({.chunk_id = id});
    CACHECLIP_RETURN_IF_ERROR(runtime.store->Put(std::move(encoded)));
    progress.Update("encode", done + wanted, options.context_tokens);
  }
  CACHECLIP_RETURN_IF_ERROR(runtime.catalog->PutDocument(document, records).status());
  return inputs;
}

// Medians over the repeats of one method.
struct Measured {
  double seconds = 0;
  Usage usage;  // of the last run
  nlohmann::json stages = nlohmann::json::object();
};

absl::StatusOr<Measured> Measure(GenerationEngine& engine, GenerateRequest request, Method method,
                                 int repeat) {
  request.options.method = method;
  std::vector<double> seconds;
  std::map<Stage, std::vector<double>> stages;
  Measured measured;
  for (int round = 0; round <= repeat; ++round) {
    CACHECLIP_ASSIGN_OR_RETURN(const GenerateResult result,
                               engine.Generate(request, CancellationToken(), {}));
    if (round == 0) continue;  // warm-up
    measured.usage = result.usage;
    seconds.push_back(absl::ToDoubleSeconds(result.usage.time_to_first_token));
    for (const auto& [stage, duration] : result.usage.stage_durations)
      if (stage != Stage::kDecode) stages[stage].push_back(absl::ToDoubleSeconds(duration));
  }
  measured.seconds = Median(seconds);
  for (const auto& [stage, values] : stages) measured.stages[std::string(StageName(stage))] = Median(values);
  return measured;
}

PromptShape ShapeOf(const Runtime& runtime, const PrefixContext& prefix, const Usage& usage) {
  PromptShape shape;
  shape.prefix_tokens = static_cast<int64_t>(prefix.ids().size());
  shape.context_tokens = usage.context_tokens;
  shape.suffix_tokens = usage.prompt_tokens - usage.context_tokens - shape.prefix_tokens;
  shape.recomputed_tokens = usage.recomputed_tokens;
  for (const auto& [tier, tokens] : usage.cached_tokens)
    shape.stored_bytes += static_cast<double>(tokens * runtime.chunk_shape().BytesPerToken());
  return shape;
}

// The physical limits beside the result.
nlohmann::json LimitsJson(const LanguageModel& model, const PromptShape& shape) {
  const MachineLimits limits = MeasureMachineLimits(model);
  const double full = FloorSeconds(FullPrefillCost(model.config(), shape), limits);
  const double floor = TtftFloorSeconds(model.config(), shape, limits);
  return {{"gemm_tflops_per_second", limits.gemm_flops_per_second / 1e12},
          {"read_gigabytes_per_second", limits.read_bytes_per_second / 1e9},
          {"giga_exponentials_per_second", limits.exponentials_per_second / 1e9},
          {"num_threads", limits.num_threads},
          {"full_prefill_floor_seconds", full},
          {"ttft_floor_seconds", floor},
          {"ideal_speedup", floor > 0 ? full / floor : 0}};
}

nlohmann::json Report(const TtftBenchOptions& options, const Measured& full, const Measured& run,
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
          {"speedup", run.seconds > 0 ? full.seconds / run.seconds : 0},
          {"limits", std::move(limits)},
          {"stage_seconds", run.stages},
          {"full_prefill_stage_seconds", full.stages},
          {"fallbacks", fallbacks},
          {"repeat", options.repeat}};
}

absl::StatusOr<nlohmann::json> Run(const Config& config, const TtftBenchOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(const Method method, ParseMethod(options.method));
  CACHECLIP_ASSIGN_OR_RETURN(auto runtime, ServiceRuntime::Open(config, CatalogAccess::kReadWrite));
  CACHECLIP_ASSIGN_OR_RETURN(PrefixContexts * primary, runtime->LoadPrimary());
  CACHECLIP_ASSIGN_OR_RETURN(SelectorEngine * selector_engine, runtime->LoadSelector());
  std::vector<RpcService> services;
  services.push_back(MakeSelectorService(selector_engine, &runtime->metrics()));
  CACHECLIP_ASSIGN_OR_RETURN(const auto server,
                             RpcServer::Start(ServerOptions(config, nullptr), std::move(services)));
  const auto selector = MakeSelectorLink(config);
  CACHECLIP_RETURN_IF_ERROR(ConnectTo(*selector, config, server->target()));
  GenerationEngine engine(primary, selector.get(), runtime->generation_options());
  GenerateRequest request{.namespace_name = kNamespace, .messages = {{"user", kQuestion}}};
  CACHECLIP_ASSIGN_OR_RETURN(request.chunks, StoreContext(*primary, options));
  request.options.budget = options.budget;
  request.options.max_new_tokens = 1;
  request.options.ignore_end_of_sequence = true;
  CACHECLIP_ASSIGN_OR_RETURN(const Measured run, Measure(engine, request, method, options.repeat));
  CACHECLIP_ASSIGN_OR_RETURN(const Measured full, Measure(engine, request, Method::kFull, options.repeat));
  CACHECLIP_ASSIGN_OR_RETURN(const auto context, primary->Get(kNamespace, ""));
  const LanguageModel& model = *primary->runtime().model;
  return Report(options, full, run, LimitsJson(model, ShapeOf(primary->runtime(), *context, run.usage)));
}

}  // namespace

absl::StatusOr<nlohmann::json> BenchTtft(Config config, const TtftBenchOptions& options) {
  // Stores of its own: a benchmark neither reads nor evicts what a server keeps.
  std::string folder =
      absl::StrCat(std::filesystem::temp_directory_path().string(), "/cacheclip_bench_XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) return absl::InternalError("cannot make a temporary folder");
  const absl::Cleanup remove = [&folder] {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  };
  config.data_dir = folder;
  config.address = "127.0.0.1";
  config.port = 0;
  return Run(config, options);
}

}  // namespace cacheclip
