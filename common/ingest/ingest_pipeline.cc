#include "common/ingest/ingest_pipeline.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/kv/chunk_key.h"

namespace cacheclip {
namespace {

constexpr size_t kLookup = kMaxChunksPerLookup;

// Whatever changes a document's chunks, so that equal digests mean that there is nothing to do.
std::string ContentDigest(const SourceDocument& document, const IngestOptions& options,
                          const Prefix& prefix) {
  Sha256 hash;
  hash.AddField(document.text).AddField(document.title).AddField(prefix.prefix_id);
  hash.AddInteger(options.chunker.target_tokens).AddInteger(options.chunker.max_tokens);
  hash.AddInteger(options.chunker.min_tokens).AddInteger(options.title_in_chunks);
  hash.AddInteger(static_cast<uint64_t>(document.format));
  return ToHex(hash.Finish());
}

// Data that was taken for text (base64, a dump) would become thousands of chunks that nobody ever retrieves.
absl::Status CheckWords(std::string_view text) {
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && !absl::ascii_isspace(static_cast<unsigned char>(text[i]))) continue;
    if (i - begin > kMaxUnbrokenBytes)
      return InvalidField("text", absl::StrCat("has a word of ", i - begin, " bytes at byte ", begin,
                                               ", at most ", kMaxUnbrokenBytes, ": is this text?"));
    begin = i + 1;
  }
  return absl::OkStatus();
}

absl::Status CheckDocument(const SourceDocument& document) {
  if (document.document_id.empty()) return InvalidField("document_id", "must not be empty");
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("document_id", document.document_id));
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("title", document.title));
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("text", document.text));
  return CheckWords(document.text);
}

bool SameEntry(const Document& a, const Document& b) {
  return a.content_digest == b.content_digest && a.metadata_json == b.metadata_json &&
         a.expire_time == b.expire_time && a.chunks == b.chunks;
}

}  // namespace

DocumentResult IngestPipeline::Ingest(const SourceDocument& document, const IngestOptions& options,
                                      const CancellationToken& cancellation,
                                      const ProgressCallback& progress) {
  DocumentResult result{.document_id = document.document_id};
  result.status = IngestInto(document, options, cancellation, progress, result);
  return result;
}

absl::Status IngestPipeline::IngestInto(const SourceDocument& document, const IngestOptions& options,
                                        const CancellationToken& cancellation,
                                        const ProgressCallback& progress, DocumentResult& result) {
  CACHECLIP_RETURN_IF_ERROR(CheckDocument(document));
  CACHECLIP_ASSIGN_OR_RETURN(auto context, contexts_->Get(options.namespace_name, options.prefix_id));
  std::string digest = ContentDigest(document, options, context->record());
  if (IsWholeAlready(document, options, *context, digest, result)) return absl::OkStatus();
  CACHECLIP_ASSIGN_OR_RETURN(const auto chunks, PlanChunks(*context, document, options, result));
  CACHECLIP_RETURN_IF_ERROR(StoreChunks(*context, chunks, cancellation, progress, result));
  CACHECLIP_RETURN_IF_ERROR(EnterCatalog(document, *context, std::move(digest), chunks, result));
  return StoreAgain(*context, chunks, cancellation, result);
}

// Without splitting the text again, and true only if every chunk's bytes are still held. What goes wrong here
// is left to the long way, which meets it again and reports it.
bool IngestPipeline::IsWholeAlready(const SourceDocument& document, const IngestOptions& options,
                                    const PrefixContext& context, std::string_view content_digest,
                                    DocumentResult& result) const {
  Catalog& catalog = *contexts_->runtime().catalog;
  const std::string& namespace_name = context.record().namespace_name;
  const auto existing = catalog.GetDocument(namespace_name, document.document_id);
  if (!existing.ok() || existing->content_digest != content_digest ||
      existing->metadata_json != document.metadata_json || existing->expire_time != document.expire_time)
    return false;
  std::vector<std::string> ids;
  for (const ChunkReference& reference : existing->chunks) ids.push_back(reference.chunk_id);
  std::vector<ChunkRecord> records;
  for (size_t begin = 0; begin < ids.size(); begin += kMaxChunksPerLookup) {
    const size_t count = std::min<size_t>(kMaxChunksPerLookup, ids.size() - begin);
    auto found = catalog.ResolveChunks(namespace_name, std::span(ids).subspan(begin, count));
    if (!found.ok()) return false;
    for (std::optional<ChunkRecord>& record : *found) {
      if (!record.has_value()) return false;
      records.push_back(*std::move(record));
    }
  }
  if (!AreHeld(records, options, document.document_id)) return false;
  // The digest does not cover everything that a key does, the namespace's salt for one; keys change together.
  if (!records.empty()) {
    const auto encoding = context.TokenizeChunk(records[0].text, records[0].title);
    if (!encoding.ok() || context.KeyOf(encoding->ids).ToHex() != records[0].chunk_id) return false;
  }
  for (const ChunkRecord& record : records) result.num_tokens += record.num_tokens;
  result.num_chunks = result.chunks_reused = static_cast<int>(records.size());
  result.chunks = std::move(records);
  result.unchanged = true;
  return true;
}

// Where they are kept; or at all, while that tier is away.
bool IngestPipeline::AreHeld(std::span<const ChunkRecord> records, const IngestOptions& options,
                             std::string_view document_id) const {
  ChunkStore& store = *contexts_->runtime().store;
  absl::Status away;
  for (const ChunkRecord& record : records) {
    const auto key = ChunkKey::FromHex(record.chunk_id);
    if (!key.ok()) return false;
    if (away.ok()) {  // else not every chunk has to find that out
      const auto kept = store.EnsureKept(*key, record.namespace_name);
      if (kept.ok() && !*kept) return false;
      away = kept.status();
    }
    if (away.ok()) continue;
    const bool may_pass = absl::IsUnavailable(away) || absl::IsDeadlineExceeded(away);
    if (options.require_kept || !may_pass || !store.Contains(*key).value_or(false)) return false;
  }
  if (!away.ok()) {
    CACHECLIP_LOG(Warning) << "document " << document_id << " is unchanged, but whether its "
                           << records.size() << " chunks are kept is not known: " << away;
  }
  return true;
}

absl::StatusOr<std::vector<IngestPipeline::PlannedChunk>> IngestPipeline::PlanChunks(
    const PrefixContext& context, const SourceDocument& document, const IngestOptions& options,
    DocumentResult& result) const {
  const DocumentChunker chunker(contexts_->runtime().tokenizer, options.chunker);
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<DocumentChunk> pieces,
                             chunker.Split(document.text, document.format));
  const std::string title = options.title_in_chunks ? document.title : "";
  std::vector<PlannedChunk> planned;
  planned.reserve(pieces.size());
  for (const DocumentChunk& piece : pieces) {
    std::string text = document.text.substr(piece.begin, piece.end - piece.begin);
    CACHECLIP_ASSIGN_OR_RETURN(Encoding encoding, context.TokenizeChunk(text, title));
    const ChunkKey key = context.KeyOf(encoding.ids);
    const auto num_tokens = static_cast<int32_t>(encoding.ids.size());
    result.chunks.push_back({.namespace_name = options.namespace_name,
                             .chunk_id = key.ToHex(),
                             .prefix_id = context.record().prefix_id,
                             .title = title,
                             .text = std::move(text),
                             .num_tokens = num_tokens});
    result.num_tokens += num_tokens;
    planned.push_back({key,
                       std::move(encoding),
                       {key.ToHex(), static_cast<int64_t>(piece.begin), static_cast<int64_t>(piece.end)}});
  }
  result.num_chunks = static_cast<int>(planned.size());
  return planned;
}

absl::Status IngestPipeline::EncodeAndStore(PrefixContext& context, const Encoding& encoding,
                                            const CancellationToken& cancellation) {
  CACHECLIP_ASSIGN_OR_RETURN(auto encoded, context.Encode(encoding, TaskPriority::kBackground, cancellation));
  return contexts_->runtime().store->PutInGroup(std::move(encoded), context.record().namespace_name);
}

absl::Status IngestPipeline::StoreChunks(PrefixContext& context, std::span<const PlannedChunk> chunks,
                                         const CancellationToken& cancellation,
                                         const ProgressCallback& progress, DocumentResult& result) {
  ChunkStore& store = *contexts_->runtime().store;
  std::set<ChunkKey> done;  // a document may say the same twice
  for (size_t i = 0; i < chunks.size(); ++i) {
    CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
    const PlannedChunk& chunk = chunks[i];
    CACHECLIP_ASSIGN_OR_RETURN(const bool is_stored,
                               store.EnsureKept(chunk.key, context.record().namespace_name));
    if (is_stored || !done.insert(chunk.key).second) {
      ++result.chunks_reused;
    } else {
      const absl::Status stored = EncodeAndStore(context, chunk.encoding, cancellation);
      if (!stored.ok()) return WithContext(stored, absl::StrCat("storing chunk ", i, " of ", chunks.size()));
      ++result.chunks_encoded;
      result.tokens_encoded += static_cast<int64_t>(chunk.encoding.ids.size());
    }
    if (progress) progress({result.document_id, static_cast<int>(i) + 1, static_cast<int>(chunks.size())});
  }
  return absl::OkStatus();
}

absl::Status IngestPipeline::StoreAgain(PrefixContext& context, std::span<const PlannedChunk> chunks,
                                        const CancellationToken& cancellation, DocumentResult& result) {
  for (const PlannedChunk& chunk : chunks) {
    const auto is_stored = contexts_->runtime().store->Contains(chunk.key);
    // A store that does not answer loses nothing that a request would not encode again.
    if (!is_stored.ok() || *is_stored) continue;
    CACHECLIP_RETURN_IF_ERROR(EncodeAndStore(context, chunk.encoding, cancellation));
    ++result.chunks_encoded;
    result.tokens_encoded += static_cast<int64_t>(chunk.encoding.ids.size());
  }
  return absl::OkStatus();
}

absl::Status IngestPipeline::EnterCatalog(const SourceDocument& source, const PrefixContext& context,
                                          std::string content_digest, std::span<const PlannedChunk> chunks,
                                          DocumentResult& result) {
  const Runtime& runtime = contexts_->runtime();
  Document document{.namespace_name = context.record().namespace_name,
                    .document_id = source.document_id,
                    .title = source.title,
                    .content_digest = std::move(content_digest),
                    .metadata_json = source.metadata_json,
                    .prefix_id = context.record().prefix_id,
                    .writer_version = runtime.writer_version};
  document.expire_time = source.expire_time;
  for (const PlannedChunk& chunk : chunks) document.chunks.push_back(chunk.reference);

  const auto existing = runtime.catalog->GetDocument(document.namespace_name, document.document_id);
  if (existing.ok() && SameEntry(*existing, document)) {
    result.unchanged = result.chunks_encoded == 0;
    return absl::OkStatus();
  }
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<std::string> released,
                             runtime.catalog->PutDocument(document, result.chunks));
  DeleteUnreferenced(document.namespace_name, released);
  return absl::OkStatus();
}

absl::Status IngestPipeline::Delete(std::string_view namespace_name, std::string_view document_id) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<std::string> released,
                             contexts_->runtime().catalog->DeleteDocument(namespace_name, document_id));
  DeleteUnreferenced(namespace_name, released);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> IngestPipeline::Sweep() {
  CACHECLIP_ASSIGN_OR_RETURN(const Removal removal, contexts_->runtime().catalog->SweepExpired());
  if (removal.released_chunk_ids.empty()) return removal.num_documents;
  DeleteBytes(removal.released_chunk_ids);
  CACHECLIP_ASSIGN_OR_RETURN(const auto namespaces, contexts_->runtime().catalog->ListNamespaces());
  for (const Namespace& space : namespaces)
    CACHECLIP_RETURN_IF_ERROR(Restore(space.name, removal.released_chunk_ids));
  return removal.num_documents;
}

void IngestPipeline::DeleteUnreferenced(std::string_view namespace_name,
                                        std::span<const std::string> chunk_ids) {
  DeleteBytes(chunk_ids);
  const absl::Status restored = Restore(namespace_name, chunk_ids);
  if (!restored.ok()) {  // a request that needs the chunk encodes it
    CACHECLIP_LOG(Warning) << "chunks referenced again are not stored again: " << restored;
  }
}

absl::Status IngestPipeline::Restore(std::string_view namespace_name,
                                     std::span<const std::string> chunk_ids) {
  for (; !chunk_ids.empty(); chunk_ids = chunk_ids.subspan(std::min(chunk_ids.size(), kLookup))) {
    CACHECLIP_ASSIGN_OR_RETURN(const auto records,
                               contexts_->runtime().catalog->ResolveChunks(
                                   namespace_name, chunk_ids.first(std::min(chunk_ids.size(), kLookup))));
    for (const std::optional<ChunkRecord>& record : records) {
      if (!record.has_value()) continue;
      CACHECLIP_ASSIGN_OR_RETURN(const auto context, contexts_->Get(namespace_name, record->prefix_id));
      CACHECLIP_ASSIGN_OR_RETURN(const Encoding encoding,
                                 context->TokenizeChunk(record->text, record->title));
      if (context->KeyOf(encoding.ids).ToHex() != record->chunk_id) continue;  // of another configuration
      CACHECLIP_RETURN_IF_ERROR(EncodeAndStore(*context, encoding, CancellationToken()));
    }
  }
  return absl::OkStatus();
}

// The catalogue no longer knows these chunks, so they are served to nobody: bytes that cannot be deleted now
// only take room until they are evicted.
void IngestPipeline::DeleteBytes(std::span<const std::string> chunk_ids) {
  for (const std::string& chunk_id : chunk_ids) {
    const auto key = ChunkKey::FromHex(chunk_id);
    const absl::Status deleted = key.ok() ? contexts_->runtime().store->Delete(*key) : key.status();
    if (!deleted.ok()) {
      CACHECLIP_LOG(Warning) << "bytes of chunk " << chunk_id << " are not deleted: " << deleted;
    }
  }
}

}  // namespace cacheclip
