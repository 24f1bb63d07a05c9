// cacheclip ingest: files to a server, and their chunks into the local index that `cacheclip ask` searches.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/ingestion_client.h"
#include "services/cacheclip/client_options.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/document_reader.h"
#include "services/cacheclip/local_index/local_index.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/paths.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct IngestFlags {
  ClientOptions client;
  std::vector<std::string> paths;
  std::string prefix_id;
  std::string system_prompt =
      "You answer questions about the documents that the user gives you. Answer with one short sentence.";
  std::string instruction;
  int chunk_tokens = 256;
  bool omit_titles = false;
};

// Creates the namespace with a default prefix unless it has one.
absl::Status EnsurePrefix(IngestionClient& client, const IngestFlags& flags) {
  const std::string& name = flags.client.namespace_name;
  const absl::StatusOr<NamespaceInfo> info = client.GetNamespace(name);
  if (!info.ok() && !absl::IsNotFound(info.status())) return info.status();
  if (info.ok() && !info->prefixes.empty()) return absl::OkStatus();
  PrefixSpec spec;
  spec.system_prompt = flags.system_prompt;
  spec.instruction = flags.instruction;
  return client.PutNamespace(name, &spec, true).status();
}

absl::Status Index(LocalIndex& index, const std::string& namespace_name, const DocumentResult& result) {
  std::vector<Passage> passages;
  for (const ChunkRecord& chunk : result.chunks)
    passages.push_back({chunk.chunk_id, chunk.title, chunk.text});
  return index.Upsert(namespace_name, result.document_id, passages);
}

struct Outcome {
  IngestTotals totals;
  std::vector<std::string> failures;  // "document: reason"
};

absl::StatusOr<Outcome> Ingest(const IngestFlags& flags) {
  CACHECLIP_ASSIGN_OR_RETURN(DocumentReader reader, DocumentReader::Open(flags.paths));
  CACHECLIP_ASSIGN_OR_RETURN(auto channel, Connect(flags.client));
  IngestionClient client(std::move(channel));
  CACHECLIP_RETURN_IF_ERROR(EnsurePrefix(client, flags));
  const std::string index_file = LocalIndexFileOf(flags.client);
  CACHECLIP_RETURN_IF_ERROR(MakeDataFolder(index_file.substr(0, index_file.rfind('/'))));
  CACHECLIP_ASSIGN_OR_RETURN(const auto index, LocalIndex::Open(index_file));
  IngestOptions options{.namespace_name = flags.client.namespace_name, .prefix_id = flags.prefix_id};
  options.chunker.target_tokens = flags.chunk_tokens;
  options.chunker.max_tokens = 2 * flags.chunk_tokens;
  options.title_in_chunks = !flags.omit_titles;
  Outcome outcome;
  ProgressLine progress;
  const IngestCallbacks callbacks{
      .on_progress =
          [&](const DocumentProgress& at) { progress.Update(at.document_id, at.chunks_done, at.num_chunks); },
      .on_result =
          [&](const DocumentResult& result) {
            absl::Status status = result.status;
            if (status.ok()) status = Index(*index, flags.client.namespace_name, result);
            if (status.ok()) return;
            outcome.failures.push_back(absl::StrCat(result.document_id, ": ", status.message()));
            progress.Message(outcome.failures.back());
          }};
  CACHECLIP_ASSIGN_OR_RETURN(
      outcome.totals, client.Ingest(
                          options, [&](SourceDocument* next) { return reader.Next(next); }, callbacks));
  for (const std::string& error : reader.errors()) {
    outcome.failures.push_back(error);
    progress.Message(error);
  }
  return outcome;
}

void Report(const Outcome& outcome, bool json) {
  const IngestTotals& totals = outcome.totals;
  const double seconds = absl::ToDoubleSeconds(totals.duration);
  if (json) {
    PrintJson({{"documents", totals.num_documents},
               {"failed", outcome.failures.size()},
               {"failures", outcome.failures},
               {"unchanged", totals.num_unchanged},
               {"chunks", totals.num_chunks},
               {"chunks_encoded", totals.chunks_encoded},
               {"chunks_reused", totals.chunks_reused},
               {"tokens", totals.num_tokens},
               {"seconds", seconds}});
    return;
  }
  std::printf("%lld documents (%lld unchanged, %zu failed), %lld chunks: %lld encoded, %lld reused; %.1f s\n",
              (long long)totals.num_documents, (long long)totals.num_unchanged, outcome.failures.size(),
              (long long)totals.num_chunks, (long long)totals.chunks_encoded, (long long)totals.chunks_reused,
              seconds);
}

}  // namespace

VerbRun AddIngest(CLI::App& app) {
  auto flags = std::make_shared<IngestFlags>();
  AddClientOptions(app, &flags->client);
  app.add_option("PATH", flags->paths, "files or folders")->required();
  app.add_option("--prefix-id", flags->prefix_id, "prefix to encode behind; empty: the namespace's default");
  app.add_option("--chunk-tokens", flags->chunk_tokens, "tokens at which a chunk should end")
      ->capture_default_str();
  app.add_option("--system-prompt", flags->system_prompt,
                 "of the default prefix, where the namespace has none yet");
  app.add_option("--instruction", flags->instruction, "before the chunks, likewise");
  app.add_flag("--omit-titles", flags->omit_titles, "leave titles out of the chunks");
  return [flags] {
    const absl::StatusOr<Outcome> outcome = Ingest(*flags);
    if (!outcome.ok()) return ReportError(outcome.status());
    Report(*outcome, flags->client.json);
    return static_cast<int>(outcome->failures.empty() ? kExitOk : kExitFailure);
  };
}

}  // namespace cacheclip
