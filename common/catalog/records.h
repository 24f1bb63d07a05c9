// What the catalogue knows: namespaces, prefixes, documents, chunks, pins. Plain values without payload
// bytes: KV lives in the chunk store, the namespace's salt in the server's configuration. Ids are text: a
// chunk id is the chunk key in lower-case hex. Limits have names here and are enforced by every catalogue
// through ValidateX() (validate.h).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace cacheclip {

inline constexpr int kMaxNamespaces = 4096;
inline constexpr int kMaxPrefixesPerNamespace = 256;
inline constexpr int kMaxPrefixTokens = 1 << 17;
inline constexpr int kMaxNamespaceNameBytes = 64;
inline constexpr int kMaxDocumentIdBytes = 512;
inline constexpr int kMaxTitleBytes = 4096;
inline constexpr int kMaxMetadataBytes = 64 << 10;
inline constexpr int kMaxChunkTextBytes = 1 << 20;
inline constexpr int kMaxChunksPerDocument = 1 << 16;
inline constexpr int kMaxChunksPerLookup = 4096;
inline constexpr int kMaxPinOwnerBytes = 256;
inline constexpr int kDefaultPageSize = 100;
inline constexpr int kMaxPageSize = 1000;  // larger pages are cut to this

struct Namespace {
  std::string name;  // [a-z0-9._-]{1,64}
  absl::Time created_time;
};

// A registered prefix: what every chunk of a document is encoded behind.
struct Prefix {
  std::string namespace_name;
  std::string prefix_id;  // short hex of a digest over the content below; 1 … 64 digits
  std::string system_prompt;
  std::string instruction;
  std::string placement;              // where chunks stand: "system" or "user"
  std::string separator;              // between chunks, part of the chunk's ids
  absl::Time template_time;           // whole seconds: the date the chat template is frozen at
  std::string model_fingerprint;      // hex
  std::string tokenizer_fingerprint;  // hex
  std::vector<int32_t> token_ids;     // [num_tokens]
  bool is_default = false;            // at most one per namespace; the last one put wins

  int32_t num_tokens() const { return static_cast<int32_t>(token_ids.size()); }
};

// One piece of a document, with everything needed to encode it again.
struct ChunkRecord {
  std::string namespace_name;
  std::string chunk_id;   // chunk key, lower-case hex, 64 digits
  std::string prefix_id;  // the prefix it was encoded behind
  std::string title;      // as wrapped into the text's ids; may be empty
  std::string
      text;  // the chunk's own text, document bytes [begin, end): title and separator come from the prefix
  int32_t num_tokens = 0;
};

// A document's use of a chunk. The same chunk may be used by several documents, or twice by one.
struct ChunkReference {
  std::string chunk_id;
  int64_t begin_byte = 0;  // span in the document's text, half open
  int64_t end_byte = 0;
  friend bool operator==(const ChunkReference&, const ChunkReference&) = default;
};

struct Document {
  std::string namespace_name;
  std::string document_id;  // non-empty UTF-8
  std::string title;
  std::string content_digest;  // of the source text; equal digest = nothing to ingest
  std::string metadata_json;   // "" or a JSON object, kept as it came
  std::string prefix_id;
  std::string writer_version;          // of the program that wrote it; TrimDocuments() selects by it
  std::vector<ChunkReference> chunks;  // in document order
  absl::Time created_time;             // set by the catalogue; kept when the document is replaced
  absl::Time updated_time;             // set by the catalogue
  absl::Time expire_time = absl::InfiniteFuture();  // from then on the document is gone
};

struct DocumentPage {
  std::vector<Document> documents;
  std::string next_page_token;  // empty on the last page
};

// A hold on a chunk's bytes against eviction; owned, and it always expires.
struct Pin {
  std::string chunk_id;
  std::string owner;
  absl::Time expire_time;
};

struct PinPage {
  std::vector<Pin> pins;
  std::string next_page_token;
};

// Which documents TrimDocuments() removes: those that meet every condition given. At least one must be given.
struct TrimFilter {
  std::string namespace_name;                         // empty: all namespaces (not a condition)
  absl::Time updated_from = absl::InfinitePast();     // inclusive
  absl::Time updated_until = absl::InfiniteFuture();  // exclusive
  std::string writer_version;                         // empty: any
};

// What a removal took away. `released_chunk_ids` have lost their last reference in every namespace: the
// caller deletes their bytes from the chunk store.
struct Removal {
  int64_t num_documents = 0;
  std::vector<std::string> released_chunk_ids;  // sorted, unique
};

inline constexpr size_t kMaxListedProblems = 100;

// What Catalog::Verify() found.
struct CatalogCheck {
  int64_t num_namespaces = 0;
  int64_t num_documents = 0;  // expired ones too
  int64_t num_chunks = 0;     // per namespace
  int64_t num_holds = 0;      // pairs of chunk and namespace that keeps its bytes
  int64_t num_leftovers = 0;  // what interrupted writers left: harmless, closed by the next sweep
  int64_t num_problems = 0;
  std::vector<std::string> problems;  // the first kMaxListedProblems, in words

  void AddProblem(std::string text) {
    if (++num_problems <= static_cast<int64_t>(kMaxListedProblems)) problems.push_back(std::move(text));
  }
};

}  // namespace cacheclip
