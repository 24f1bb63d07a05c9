#include "services/cacheclip/bench_stored.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include <stdlib.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/cacheclip/console.h"
#include "services/runtime/server_host.h"
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
                                                     const StoredContextOptions& options) {
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

}  // namespace

absl::StatusOr<std::unique_ptr<StoredContext>> StoredContext::Open(Config config,
                                                                   const StoredContextOptions& options) {
  std::unique_ptr<StoredContext> stored(new StoredContext);
  CACHECLIP_RETURN_IF_ERROR(stored->Start(std::move(config), options));
  return stored;
}

StoredContext::~StoredContext() {
  engine_.reset();
  selector_.reset();
  server_.reset();
  runtime_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

// Stores of its own: a benchmark neither reads nor evicts what a server keeps.
absl::Status StoredContext::Start(Config config, const StoredContextOptions& options) {
  std::string folder =
      absl::StrCat(std::filesystem::temp_directory_path().string(), "/cacheclip_bench_XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) return absl::InternalError("cannot make a temporary folder");
  folder_ = config.data_dir = folder;
  config.address = "127.0.0.1";
  config.port = 0;
  CACHECLIP_ASSIGN_OR_RETURN(runtime_, ServiceRuntime::Open(config, CatalogAccess::kReadWrite));
  CACHECLIP_ASSIGN_OR_RETURN(primary_, runtime_->LoadPrimary());
  CACHECLIP_ASSIGN_OR_RETURN(SelectorEngine * selector_engine, runtime_->LoadSelector());
  std::vector<RpcService> services;
  services.push_back(MakeSelectorService(selector_engine, &runtime_->metrics()));
  CACHECLIP_ASSIGN_OR_RETURN(server_, RpcServer::Start(ServerOptions(config, nullptr), std::move(services)));
  selector_ = MakeSelectorLink(config);
  CACHECLIP_RETURN_IF_ERROR(ConnectTo(*selector_, config, server_->target()));
  engine_.emplace(primary_, selector_.get(), runtime_->generation_options());
  request_ = {.namespace_name = kNamespace, .messages = {{"user", kQuestion}}};
  CACHECLIP_ASSIGN_OR_RETURN(request_.chunks, StoreContext(*primary_, options));
  request_.options.max_new_tokens = 1;
  request_.options.ignore_end_of_sequence = true;
  return absl::OkStatus();
}

absl::StatusOr<MeasuredMethod> StoredContext::Measure(Method method, double budget, int repeat) {
  GenerateRequest request = request_;
  request.options.method = method;
  request.options.budget = budget;
  std::vector<double> seconds;
  std::map<Stage, std::vector<double>> stages;
  MeasuredMethod measured;
  for (int round = 0; round <= repeat; ++round) {
    CACHECLIP_ASSIGN_OR_RETURN(const GenerateResult result,
                               engine_->Generate(request, CancellationToken(), {}));
    if (round == 0) continue;  // warm-up
    measured.usage = result.usage;
    seconds.push_back(absl::ToDoubleSeconds(result.usage.time_to_first_token));
    for (const auto& [stage, duration] : result.usage.stage_durations)
      if (stage != Stage::kDecode) stages[stage].push_back(absl::ToDoubleSeconds(duration));
  }
  measured.seconds = Median(seconds);
  measured.fastest_seconds = *std::ranges::min_element(seconds);
  measured.slowest_seconds = *std::ranges::max_element(seconds);
  for (const auto& [stage, values] : stages) measured.stages[std::string(StageName(stage))] = Median(values);
  return measured;
}

PromptShape StoredContext::ShapeOf(const Usage& usage) const {
  PromptShape shape;
  shape.prefix_tokens = static_cast<int64_t>(primary_->Get(kNamespace, "").value()->ids().size());
  shape.context_tokens = usage.context_tokens;
  shape.suffix_tokens = usage.prompt_tokens - usage.context_tokens - shape.prefix_tokens;
  shape.recomputed_tokens = usage.recomputed_tokens;
  for (const auto& [tier, tokens] : usage.cached_tokens)
    shape.stored_bytes += static_cast<double>(tokens * primary_->runtime().chunk_shape().BytesPerToken());
  return shape;
}

}  // namespace cacheclip
