// An ingestion service as ordinary calls: what the CLI and tests use. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/catalog/records.h"
#include "common/ingest/ingest_pipeline.h"
#include "common/rpc/channel.h"
#include "common/text/prompt_layout.h"

namespace cacheclip {

struct IngestTotals {
  int64_t num_documents = 0, num_failed = 0, num_unchanged = 0;
  int64_t num_chunks = 0, chunks_encoded = 0, chunks_reused = 0, num_tokens = 0;
  absl::Duration duration;
};

struct IngestCallbacks {
  std::function<void(const DocumentProgress&)> on_progress;
  std::function<void(const DocumentResult&)> on_result;  // once per document, in order
};

struct NamespaceInfo {
  std::string name;
  absl::Time created_time;
  std::vector<Prefix> prefixes;  // token_ids are not sent; namespace_name is empty
};

class IngestionClient {
 public:
  explicit IngestionClient(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}

  // Sends what `next_document` yields until it returns false; an error of the whole call is the status, an
  // error of one document is in its result. One document is under way at a time, so a long list needs no
  // memory here.
  using DocumentSource = std::function<bool(SourceDocument* document)>;
  absl::StatusOr<IngestTotals> Ingest(const IngestOptions& options, const DocumentSource& next_document,
                                      const IngestCallbacks& callbacks = {});

  absl::StatusOr<Document> GetDocument(const std::string& namespace_name, const std::string& document_id);
  absl::StatusOr<DocumentPage> ListDocuments(const std::string& namespace_name, int page_size,
                                             const std::string& page_token);
  absl::Status DeleteDocument(const std::string& namespace_name, const std::string& document_id);

  absl::Status PinChunks(const std::string& namespace_name, const std::vector<std::string>& chunk_ids,
                         const std::string& owner, absl::Duration duration);
  absl::StatusOr<int64_t> UnpinChunks(const std::string& namespace_name,
                                      const std::vector<std::string>& chunk_ids, const std::string& owner);

  // `prefix` may be null. Returns the prefix's id, "" without one.
  absl::StatusOr<std::string> PutNamespace(const std::string& name, const PrefixSpec* prefix,
                                           bool make_default);
  absl::StatusOr<NamespaceInfo> GetNamespace(const std::string& name);
  absl::StatusOr<std::vector<Namespace>> ListNamespaces();

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace cacheclip
