#include "services/ingestion/ingestion_backend.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/engine/generate_request.h"

namespace cacheclip {
namespace {

absl::StatusOr<std::vector<ChunkKey>> ParseKeys(const std::vector<std::string>& chunk_ids) {
  std::vector<ChunkKey> keys;
  for (const std::string& id : chunk_ids) {
    absl::StatusOr<ChunkKey> key = ChunkKey::FromHex(id);
    if (!key.ok()) return InvalidField("chunk_ids", "\"" + id + "\" is no chunk id");
    keys.push_back(*key);
  }
  return keys;
}

}  // namespace

IngestionBackend::IngestionBackend(PrefixContexts* contexts, RpcTokenSelector* selector)
    : contexts_(contexts),
      catalog_(contexts->runtime().catalog),
      store_(contexts->runtime().store),
      selector_(selector),
      pipeline_(contexts),
      sweep_([this] { Sweep(); }, {.interval = kSweepInterval, .clock = contexts->runtime().clock}) {}

void IngestionBackend::Sweep() {
  const absl::StatusOr<int64_t> swept = pipeline_.Sweep();
  if (!swept.ok()) {
    CACHECLIP_LOG(Warning) << "what has expired is not swept: " << swept.status();
  } else if (*swept > 0) {
    CACHECLIP_LOG(Info) << *swept << " expired documents removed";
  }
}

absl::Status IngestionBackend::Begin(const IngestOptions& options) {
  CACHECLIP_RETURN_IF_ERROR(catalog_->GetNamespace(options.namespace_name).status());
  CACHECLIP_RETURN_IF_ERROR(contexts_->Get(options.namespace_name, options.prefix_id).status());
  return pipeline_.Sweep().status();
}

DocumentResult IngestionBackend::Ingest(const SourceDocument& document, const IngestOptions& options,
                                        const CancellationToken& cancellation,
                                        const IngestPipeline::ProgressCallback& progress) {
  DocumentResult result = pipeline_.Ingest(document, options, cancellation, progress);
  if (result.status.ok() && selector_ != nullptr) PrepareAuxiliary(result, options, cancellation);
  return result;
}

void IngestionBackend::PrepareAuxiliary(const DocumentResult& result, const IngestOptions& options,
                                        const CancellationToken& cancellation) {
  std::vector<SelectChunk> chunks;
  for (const ChunkRecord& chunk : result.chunks)
    chunks.push_back({.chunk_id = chunk.chunk_id, .num_tokens = chunk.num_tokens});
  for (size_t begin = 0; begin < chunks.size(); begin += kMaxChunksPerRequest) {
    const size_t end = std::min(chunks.size(), begin + kMaxChunksPerRequest);
    const absl::Status status = selector_
                                    ->Prepare(options.namespace_name, options.prefix_id,
                                              {chunks.begin() + begin, chunks.begin() + end}, cancellation)
                                    .status();
    if (status.ok()) continue;
    // The selector encodes what it misses when it is asked; only the first question pays.
    CACHECLIP_LOG(Warning) << "selector could not prepare " << result.document_id << ": " << status;
    return;
  }
}

absl::Status IngestionBackend::Delete(std::string_view namespace_name, std::string_view document_id) {
  return pipeline_.Delete(namespace_name, document_id);
}

absl::StatusOr<DocumentWithChunks> IngestionBackend::Get(std::string_view namespace_name,
                                                         std::string_view document_id) {
  DocumentWithChunks found;
  CACHECLIP_ASSIGN_OR_RETURN(found.document, catalog_->GetDocument(namespace_name, document_id));
  std::vector<std::string> ids;
  for (const ChunkReference& reference : found.document.chunks) ids.push_back(reference.chunk_id);
  for (size_t begin = 0; begin < ids.size(); begin += kMaxChunksPerLookup) {
    const size_t count = std::min<size_t>(kMaxChunksPerLookup, ids.size() - begin);
    CACHECLIP_ASSIGN_OR_RETURN(std::vector<std::optional<ChunkRecord>> records,
                               catalog_->ResolveChunks(namespace_name, std::span(ids).subspan(begin, count)));
    for (std::optional<ChunkRecord>& record : records)
      found.chunks.push_back(record.has_value() ? *std::move(record) : ChunkRecord());
  }
  return found;
}

absl::StatusOr<DocumentPage> IngestionBackend::List(std::string_view namespace_name, int page_size,
                                                    std::string_view page_token) {
  if (page_size < 0) return InvalidField("page_size", "must not be negative");
  return catalog_->ListDocuments(namespace_name, page_size, page_token);
}

absl::Status IngestionBackend::Pin(std::string_view namespace_name, const std::vector<std::string>& chunk_ids,
                                   std::string_view owner, absl::Duration duration) {
  if (duration <= absl::ZeroDuration()) return InvalidField("duration_seconds", "must be more than 0");
  const absl::Time now = contexts_->runtime().clock->Now();
  CACHECLIP_RETURN_IF_ERROR(ValidatePin(owner, now + duration, now));
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<ChunkKey> keys, ParseKeys(chunk_ids));
  CACHECLIP_RETURN_IF_ERROR(catalog_->PinChunks(namespace_name, chunk_ids, owner, now + duration));
  for (const ChunkKey& key : keys) {
    const absl::Status status = store_->Pin(key, owner, now + duration);
    // Bytes that were evicted before come back at the next request; the catalogue's pin stands.
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> IngestionBackend::Unpin(std::string_view namespace_name,
                                                const std::vector<std::string>& chunk_ids,
                                                std::string_view owner) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<ChunkKey> keys, ParseKeys(chunk_ids));
  CACHECLIP_ASSIGN_OR_RETURN(const int64_t count, catalog_->UnpinChunks(namespace_name, chunk_ids, owner));
  for (const ChunkKey& key : keys) CACHECLIP_RETURN_IF_ERROR(store_->Unpin(key, owner));
  return count;
}

absl::StatusOr<std::string> IngestionBackend::PutNamespace(const std::string& name, const PrefixSpec* spec,
                                                           bool make_default) {
  CACHECLIP_RETURN_IF_ERROR(catalog_->PutNamespace(name).status());
  if (spec == nullptr) return std::string();
  const bool has_default = catalog_->GetPrefix(name, "").ok();
  CACHECLIP_ASSIGN_OR_RETURN(const Prefix prefix,
                             contexts_->Register(name, *spec, make_default || !has_default));
  return prefix.prefix_id;
}

absl::StatusOr<NamespaceInfo> IngestionBackend::GetNamespace(std::string_view name) {
  CACHECLIP_ASSIGN_OR_RETURN(const Namespace found, catalog_->GetNamespace(name));
  NamespaceInfo info{found.name, found.created_time, {}};
  CACHECLIP_ASSIGN_OR_RETURN(info.prefixes, catalog_->ListPrefixes(name));
  return info;
}

absl::StatusOr<std::vector<Namespace>> IngestionBackend::ListNamespaces() {
  return catalog_->ListNamespaces();
}

}  // namespace cacheclip
