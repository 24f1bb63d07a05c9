// The documents, chunks and references of the SQLite catalogue: the statements behind SqliteCatalog's
// document calls. Each function runs inside the caller's transaction and with the database's mutex held;
// arguments are validated. Times are microseconds as stored (ToMicros, FromMicros).
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/catalog/records.h"
#include "common/catalog/sqlite_database.h"

namespace cacheclip {

int64_t ToMicros(absl::Time time);  // infinities become the ends of int64_t
absl::Time FromMicros(int64_t micros);

// Replaces the document; returns the released chunk ids.
absl::StatusOr<std::vector<std::string>> ReplaceDocument(SqliteDatabase& database, const Document& document,
                                                         std::span<const ChunkRecord> chunks,
                                                         int64_t now_micros);

absl::StatusOr<std::optional<Document>> FindDocument(SqliteDatabase& database,
                                                     std::string_view namespace_name,
                                                     std::string_view document_id, int64_t now_micros);

// At most `limit` living documents with ids above `after`.
absl::StatusOr<std::vector<Document>> ScanDocuments(SqliteDatabase& database, std::string_view namespace_name,
                                                    std::string_view after, int limit, int64_t now_micros);

absl::StatusOr<std::optional<ChunkRecord>> FindChunk(SqliteDatabase& database,
                                                     std::string_view namespace_name,
                                                     std::string_view chunk_id, int64_t now_micros);

struct DocumentKey {
  std::string namespace_name;
  std::string document_id;
};

// The documents of a query whose first two columns are namespace and document id.
absl::StatusOr<std::vector<DocumentKey>> ReadDocumentKeys(SqliteStatement rows);

// Removes the documents; what lost its last reference is in the result.
absl::StatusOr<Removal> RemoveDocuments(SqliteDatabase& database, std::span<const DocumentKey> keys);

}  // namespace cacheclip
