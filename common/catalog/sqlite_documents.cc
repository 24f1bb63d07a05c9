#include "common/catalog/sqlite_documents.h"

#include <limits>
#include <utility>

namespace cacheclip {
namespace {

constexpr std::string_view kDocumentColumns =
    "SELECT document_id, title, content_digest, metadata_json, prefix_id, writer_version, created_micros,"
    " updated_micros, expire_micros FROM documents WHERE namespace = ? AND ";

absl::StatusOr<std::vector<ChunkReference>> References(SqliteDatabase& database,
                                                       std::string_view namespace_name,
                                                       std::string_view document_id) {
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row,
                             database.Query("SELECT chunk_id, begin_byte, end_byte FROM document_chunks"
                                            " WHERE namespace = ? AND document_id = ? ORDER BY ordinal",
                                            namespace_name, document_id));
  std::vector<ChunkReference> references;
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
    if (!found) return references;
    references.push_back({row.Text(0), row.Int(1), row.Int(2)});
  }
}

absl::StatusOr<Document> ReadDocument(SqliteDatabase& database, std::string_view namespace_name,
                                      const SqliteStatement& row) {
  Document document{
      .namespace_name = std::string(namespace_name),
      .document_id = row.Text(0),
      .title = row.Text(1),
      .content_digest = row.Text(2),
      .metadata_json = row.Text(3),
      .prefix_id = row.Text(4),
      .writer_version = row.Text(5),
      .created_time = FromMicros(row.Int(6)),
      .updated_time = FromMicros(row.Int(7)),
      .expire_time = FromMicros(row.Int(8)),
  };
  CACHECLIP_ASSIGN_OR_RETURN(document.chunks, References(database, namespace_name, document.document_id));
  return document;
}

// Drops the document's row and references (cascade); the chunks it used go to `candidates`.
absl::Status Unlink(SqliteDatabase& database, std::string_view namespace_name, std::string_view document_id,
                    std::set<std::string>& candidates) {
  CACHECLIP_ASSIGN_OR_RETURN(const auto references, References(database, namespace_name, document_id));
  for (const ChunkReference& reference : references) candidates.insert(reference.chunk_id);
  return database
      .Run("DELETE FROM documents WHERE namespace = ? AND document_id = ?", namespace_name, document_id)
      .status();
}

// Drops those of `candidates` that no document of the namespace uses; adds to `released` what no namespace
// holds now.
absl::Status Collect(SqliteDatabase& database, std::string_view namespace_name,
                     const std::set<std::string>& candidates, std::set<std::string>& released) {
  for (const std::string& chunk_id : candidates) {
    CACHECLIP_ASSIGN_OR_RETURN(
        const int64_t num_dropped,
        database.Run("DELETE FROM chunks WHERE chunk_id = ?1 AND namespace = ?2 AND NOT EXISTS"
                     " (SELECT 1 FROM document_chunks WHERE chunk_id = ?1 AND namespace = ?2)",
                     chunk_id, namespace_name));
    if (num_dropped == 0) continue;
    CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement elsewhere,
                               database.Query("SELECT 1 FROM chunks WHERE chunk_id = ?", chunk_id));
    CACHECLIP_ASSIGN_OR_RETURN(const bool held, elsewhere.Step());
    if (!held) released.insert(chunk_id);
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> CreatedMicros(SqliteDatabase& database, const Document& document,
                                      int64_t now_micros) {
  CACHECLIP_ASSIGN_OR_RETURN(
      SqliteStatement row,
      database.Query("SELECT created_micros FROM documents WHERE namespace = ? AND document_id = ? AND"
                     " expire_micros > ?",
                     document.namespace_name, document.document_id, now_micros));
  CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
  return found ? row.Int(0) : now_micros;
}

absl::Status InsertDocument(SqliteDatabase& database, const Document& document,
                            std::span<const ChunkRecord> chunks, int64_t created_micros, int64_t now_micros) {
  CACHECLIP_RETURN_IF_ERROR(database
                                .Run("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                     document.namespace_name, document.document_id, document.title,
                                     document.content_digest, document.metadata_json, document.prefix_id,
                                     document.writer_version, created_micros, now_micros,
                                     ToMicros(document.expire_time))
                                .status());
  for (const ChunkRecord& chunk : chunks)
    CACHECLIP_RETURN_IF_ERROR(
        database
            .Run("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)"
                 " ON CONFLICT (chunk_id, namespace) DO UPDATE SET prefix_id = excluded.prefix_id,"
                 " title = excluded.title, text = excluded.text, num_tokens = excluded.num_tokens",
                 chunk.chunk_id, chunk.namespace_name, chunk.prefix_id, chunk.title, chunk.text,
                 int64_t{chunk.num_tokens})
            .status());
  int64_t ordinal = 0;
  for (const ChunkReference& reference : document.chunks)
    CACHECLIP_RETURN_IF_ERROR(database
                                  .Run("INSERT INTO document_chunks VALUES (?, ?, ?, ?, ?, ?)",
                                       document.namespace_name, document.document_id, ordinal++,
                                       reference.chunk_id, reference.begin_byte, reference.end_byte)
                                  .status());
  return absl::OkStatus();
}

}  // namespace

int64_t ToMicros(absl::Time time) { return absl::ToUnixMicros(time); }  // saturates

absl::Time FromMicros(int64_t micros) {
  if (micros == std::numeric_limits<int64_t>::max()) return absl::InfiniteFuture();
  if (micros == std::numeric_limits<int64_t>::min()) return absl::InfinitePast();
  return absl::FromUnixMicros(micros);
}

absl::StatusOr<std::vector<std::string>> ReplaceDocument(SqliteDatabase& database, const Document& document,
                                                         std::span<const ChunkRecord> chunks,
                                                         int64_t now_micros) {
  CACHECLIP_ASSIGN_OR_RETURN(const int64_t created_micros, CreatedMicros(database, document, now_micros));
  std::set<std::string> candidates, released;
  CACHECLIP_RETURN_IF_ERROR(Unlink(database, document.namespace_name, document.document_id, candidates));
  CACHECLIP_RETURN_IF_ERROR(InsertDocument(database, document, chunks, created_micros, now_micros));
  CACHECLIP_RETURN_IF_ERROR(Collect(database, document.namespace_name, candidates, released));
  return std::vector<std::string>(released.begin(), released.end());
}

absl::StatusOr<std::optional<Document>> FindDocument(SqliteDatabase& database,
                                                     std::string_view namespace_name,
                                                     std::string_view document_id, int64_t now_micros) {
  static const std::string* const kSql =
      new std::string(std::string(kDocumentColumns) + "document_id = ? AND expire_micros > ?");
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row,
                             database.Query(*kSql, namespace_name, document_id, now_micros));
  CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::nullopt;
  CACHECLIP_ASSIGN_OR_RETURN(Document document, ReadDocument(database, namespace_name, row));
  return std::optional(std::move(document));
}

absl::StatusOr<std::vector<Document>> ScanDocuments(SqliteDatabase& database, std::string_view namespace_name,
                                                    std::string_view after, int limit, int64_t now_micros) {
  static const std::string* const kSql = new std::string(
      std::string(kDocumentColumns) + "document_id > ? AND expire_micros > ? ORDER BY document_id LIMIT ?");
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row,
                             database.Query(*kSql, namespace_name, after, now_micros, int64_t{limit}));
  std::vector<Document> documents;
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
    if (!found) return documents;
    CACHECLIP_ASSIGN_OR_RETURN(Document document, ReadDocument(database, namespace_name, row));
    documents.push_back(std::move(document));
  }
}

absl::StatusOr<std::optional<ChunkRecord>> FindChunk(SqliteDatabase& database,
                                                     std::string_view namespace_name,
                                                     std::string_view chunk_id, int64_t now_micros) {
  CACHECLIP_ASSIGN_OR_RETURN(
      SqliteStatement row,
      database.Query(
          "SELECT prefix_id, title, text, num_tokens FROM chunks WHERE chunk_id = ?1 AND namespace = ?2"
          " AND EXISTS (SELECT 1 FROM document_chunks JOIN documents USING (namespace, document_id)"
          " WHERE document_chunks.chunk_id = ?1 AND document_chunks.namespace = ?2 AND expire_micros > ?3)",
          chunk_id, namespace_name, now_micros));
  CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::nullopt;
  return ChunkRecord{
      .namespace_name = std::string(namespace_name),
      .chunk_id = std::string(chunk_id),
      .prefix_id = row.Text(0),
      .title = row.Text(1),
      .text = row.Text(2),
      .num_tokens = static_cast<int32_t>(row.Int(3)),
  };
}

absl::StatusOr<std::vector<DocumentKey>> ReadDocumentKeys(SqliteStatement rows) {
  std::vector<DocumentKey> keys;
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool found, rows.Step());
    if (!found) return keys;
    keys.push_back({rows.Text(0), rows.Text(1)});
  }
}

absl::StatusOr<Removal> RemoveDocuments(SqliteDatabase& database, std::span<const DocumentKey> keys) {
  std::set<std::string> released;
  for (const DocumentKey& key : keys) {
    std::set<std::string> candidates;
    CACHECLIP_RETURN_IF_ERROR(Unlink(database, key.namespace_name, key.document_id, candidates));
    CACHECLIP_RETURN_IF_ERROR(Collect(database, key.namespace_name, candidates, released));
  }
  return Removal{static_cast<int64_t>(keys.size()), {released.begin(), released.end()}};
}

}  // namespace cacheclip
