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
#include "services/cacheclip/documents/document_set.h"
#include "services/cacheclip/ingest_flags.h"
#include "services/cacheclip/local_index/local_index.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/paths.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  ClientOptions client;
  std::vector<std::string> sources;
  IngestFlags ingest;
};

// Creates the namespace with a default prefix unless it has one.
absl::Status EnsurePrefix(IngestionClient& client, const Flags& flags) {
  const std::string& name = flags.client.namespace_name;
  const absl::StatusOr<NamespaceInfo> info = client.GetNamespace(name);
  if (!info.ok() && !absl::IsNotFound(info.status())) return info.status();
  if (info.ok() && !info->prefixes.empty()) return absl::OkStatus();
  const PrefixSpec spec = PrefixSpecOf(flags.ingest);
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

// The documents in order; what cannot be read is passed over and kept for the end, so that the progress line
// is not torn.
class DocumentQueue {
 public:
  explicit DocumentQueue(const DocumentSet& documents) : documents_(documents) {}

  bool Next(SourceDocument* next) {
    while (next_index_ < documents_.size()) {
      absl::StatusOr<SourceDocument> document = documents_.Read(next_index_++);
      if (document.ok()) {
        *next = *std::move(document);
        return true;
      }
      unreadable_.emplace_back(document.status().message());
    }
    return false;
  }
  std::vector<std::string>& unreadable() { return unreadable_; }

 private:
  const DocumentSet& documents_;
  int64_t next_index_ = 0;
  std::vector<std::string> unreadable_;
};

absl::StatusOr<Outcome> Ingest(const Flags& flags) {
  CACHECLIP_ASSIGN_OR_RETURN(const DocumentSet documents, DocumentSet::Open(flags.sources));
  CACHECLIP_ASSIGN_OR_RETURN(auto channel, Connect(flags.client));
  IngestionClient client(std::move(channel));
  CACHECLIP_RETURN_IF_ERROR(EnsurePrefix(client, flags));
  const std::string index_file = LocalIndexFileOf(flags.client);
  CACHECLIP_RETURN_IF_ERROR(MakeDataFolder(index_file.substr(0, index_file.rfind('/'))));
  CACHECLIP_ASSIGN_OR_RETURN(const auto index, LocalIndex::Open(index_file));
  Outcome outcome;
  ProgressLine progress;
  const auto fail = [&](std::string message) {
    progress.Message(message);
    outcome.failures.push_back(std::move(message));
  };
  const IngestCallbacks callbacks{
      .on_progress =
          [&](const DocumentProgress& at) { progress.Update(at.document_id, at.chunks_done, at.num_chunks); },
      .on_result =
          [&](const DocumentResult& result) {
            absl::Status status = result.status;
            if (status.ok()) status = Index(*index, flags.client.namespace_name, result);
            if (!status.ok()) fail(absl::StrCat(result.document_id, ": ", status.message()));
          }};
  DocumentQueue queue(documents);
  CACHECLIP_ASSIGN_OR_RETURN(outcome.totals,
                             client.Ingest(
                                 IngestOptionsOf(flags.ingest, flags.client.namespace_name),
                                 [&](SourceDocument* next) { return queue.Next(next); }, callbacks));
  for (std::string& message : queue.unreadable()) fail(std::move(message));
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
  auto flags = std::make_shared<Flags>();
  AddClientOptions(app, &flags->client);
  app.add_option("SOURCE", flags->sources, "files, folders, patterns, s3://bucket/prefix")->required();
  AddIngestFlags(app, &flags->ingest);
  return [flags] {
    const absl::StatusOr<Outcome> outcome = Ingest(*flags);
    if (!outcome.ok()) return ReportError(outcome.status());
    Report(*outcome, flags->client.json);
    return static_cast<int>(outcome->failures.empty() ? kExitOk : kExitFailure);
  };
}

}  // namespace cacheclip
