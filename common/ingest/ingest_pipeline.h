// Documents in, chunks out: split, tokenise, key, encode what is missing, store, then enter the catalogue in
// one step. A document becomes visible only when all its chunks are stored. The same content again is a no-op
// (no model work); a chunk that only a faster tier holds is copied to where it is kept, or, while that cannot
// be reached, left where it is (IngestOptions::require_kept). A changed document
// replaces its chunks, and chunks nobody refers to any more are deleted from the store. Replicas that share
// catalogue and store may delete at the same time what this one has just found stored: both look again, the
// one after entering the document, the other after deleting, and encode what is referenced and gone (across
// namespaces only the former does). One bad document does not stop the rest: its result carries the error.
// What an interrupted or failed document has put already stays in the store, unreferenced, so that the next
// run finds it; otherwise it is evicted in time. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/catalog/records.h"
#include "common/ingest/prefix_context.h"
#include "common/text/document_chunker.h"

namespace cacheclip {

// A document with a longer run without white space is no text: INVALID_ARGUMENT naming "text".
inline constexpr size_t kMaxUnbrokenBytes = size_t{1} << 20;

struct SourceDocument {
  std::string document_id;
  std::string title;  // shown to the model above each chunk if options.title_in_chunks
  std::string text;
  DocumentFormat format = DocumentFormat::kPlainText;
  std::string metadata_json;
  absl::Time expire_time = absl::InfiniteFuture();
};

struct IngestOptions {
  std::string namespace_name;
  std::string prefix_id;  // "" = the namespace's default
  ChunkerOptions chunker;
  bool title_in_chunks = true;
  // Whether an unchanged document fails while the tier that should keep its chunks cannot be reached. For who
  // promises that they lie there; else it is enough that some tier holds them.
  bool require_kept = false;
};

struct DocumentProgress {
  std::string document_id;
  int chunks_done = 0, num_chunks = 0;
};

struct DocumentResult {
  std::string document_id;
  absl::Status status;
  int num_chunks = 0, chunks_encoded = 0, chunks_reused = 0;
  int64_t num_tokens = 0;
  int64_t tokens_encoded = 0;  // of the chunks encoded; the others cost no model work
  bool unchanged = false;
  std::vector<ChunkRecord> chunks;  // in document order: ids and texts for a local index
};

class IngestPipeline {
 public:
  explicit IngestPipeline(PrefixContexts* contexts) : contexts_(contexts) {}

  using ProgressCallback = std::function<void(const DocumentProgress&)>;
  DocumentResult Ingest(const SourceDocument& document, const IngestOptions& options,
                        const CancellationToken& cancellation, const ProgressCallback& progress = {});

  // Removes the document and the bytes of chunks nobody else refers to. NOT_FOUND if there is none.
  absl::Status Delete(std::string_view namespace_name, std::string_view document_id);

  // Removes what has expired; to be called now and then. Returns the number of documents removed.
  absl::StatusOr<int64_t> Sweep();

 private:
  struct PlannedChunk {
    ChunkKey key;
    Encoding encoding;
    ChunkReference reference;
  };
  absl::Status IngestInto(const SourceDocument& document, const IngestOptions& options,
                          const CancellationToken& cancellation, const ProgressCallback& progress,
                          DocumentResult& result);
  bool IsWholeAlready(const SourceDocument& document, const IngestOptions& options,
                      const PrefixContext& context, std::string_view content_digest,
                      DocumentResult& result) const;
  bool AreHeld(std::span<const ChunkRecord> records, const IngestOptions& options,
               std::string_view document_id) const;
  absl::StatusOr<std::vector<PlannedChunk>> PlanChunks(const PrefixContext& context,
                                                       const SourceDocument& document,
                                                       const IngestOptions& options,
                                                       DocumentResult& result) const;
  absl::Status EncodeAndStore(PrefixContext& context, const Encoding& encoding,
                              const CancellationToken& cancellation);
  absl::Status StoreChunks(PrefixContext& context, std::span<const PlannedChunk> chunks,
                           const CancellationToken& cancellation, const ProgressCallback& progress,
                           DocumentResult& result);
  absl::Status EnterCatalog(const SourceDocument& document, const PrefixContext& context,
                            std::string content_digest, std::span<const PlannedChunk> chunks,
                            DocumentResult& result);
  // After the catalogue has the document: encodes what was deleted since it was found stored.
  absl::Status StoreAgain(PrefixContext& context, std::span<const PlannedChunk> chunks,
                          const CancellationToken& cancellation, DocumentResult& result);
  void DeleteBytes(std::span<const std::string> chunk_ids);
  // Deletes the bytes, then encodes those that a document of the namespace has come to refer to meanwhile.
  void DeleteUnreferenced(std::string_view namespace_name, std::span<const std::string> chunk_ids);
  absl::Status Restore(std::string_view namespace_name, std::span<const std::string> chunk_ids);

  PrefixContexts* contexts_;
};

}  // namespace cacheclip
