// What ingestion does beyond the pipeline: has the selector prepare its own KV after each document, pins
// chunks in catalogue and store together, registers prefixes with namespaces, completes documents with their
// chunks' texts, sweeps what has expired. Free of transport. Thread-safe. The parts must outlive it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/periodic_task.h"
#include "common/ingest/ingest_pipeline.h"
#include "common/ingest/prefix_context.h"
#include "common/rpc/ingestion_client.h"
#include "common/rpc/selector_client.h"

namespace cacheclip {

struct DocumentWithChunks {
  Document document;
  std::vector<ChunkRecord> chunks;  // one per document.chunks; empty records where a chunk is gone meanwhile
};

// How long expired documents keep their bytes at most, and pins their entries, while a server that ingests
// runs.
inline constexpr absl::Duration kSweepInterval = absl::Minutes(5);

class IngestionBackend {
 public:
  // `selector` may be null.
  IngestionBackend(PrefixContexts* contexts, RpcTokenSelector* selector);

  // Sweeps now and then every kSweepInterval for as long as this lives. For servers; once. Several processes
  // on one catalogue may do so: a sweep that finds nothing changes nothing.
  void KeepSwept() { sweep_.Start(); }
  bool SweepIfDue() { return sweep_.RunIfDue(); }

  // Namespace and prefix exist; expired documents are swept. To be called before a run of Ingest().
  absl::Status Begin(const IngestOptions& options);
  DocumentResult Ingest(const SourceDocument& document, const IngestOptions& options,
                        const CancellationToken& cancellation,
                        const IngestPipeline::ProgressCallback& progress);
  absl::Status Delete(std::string_view namespace_name, std::string_view document_id);
  absl::StatusOr<DocumentWithChunks> Get(std::string_view namespace_name, std::string_view document_id);
  absl::StatusOr<DocumentPage> List(std::string_view namespace_name, int page_size,
                                    std::string_view page_token);

  absl::Status Pin(std::string_view namespace_name, const std::vector<std::string>& chunk_ids,
                   std::string_view owner, absl::Duration duration);
  absl::StatusOr<int64_t> Unpin(std::string_view namespace_name, const std::vector<std::string>& chunk_ids,
                                std::string_view owner);

  // Creates the namespace; registers `spec` if not null, as default if asked or if there is none yet. Returns
  // its id.
  absl::StatusOr<std::string> PutNamespace(const std::string& name, const PrefixSpec* spec,
                                           bool make_default);
  absl::StatusOr<NamespaceInfo> GetNamespace(std::string_view name);
  absl::StatusOr<std::vector<Namespace>> ListNamespaces();

 private:
  void PrepareAuxiliary(const DocumentResult& result, const IngestOptions& options,
                        const CancellationToken& cancellation);
  void Sweep();

  PrefixContexts* const contexts_;
  Catalog* const catalog_;
  ChunkStore* const store_;
  RpcTokenSelector* const selector_;
  IngestPipeline pipeline_;
  PeriodicTask sweep_;  // last: uses all of the above
};

}  // namespace cacheclip
