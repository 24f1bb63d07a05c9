#include "common/catalog/sqlite_schema.h"

#include "absl/strings/str_cat.h"

namespace cacheclip {
namespace {

// Times are microseconds since 1970; INT64_MAX stands for "never". Chunks are found by id first, then by
// namespace: equal ids in several namespaces mean that their bytes are shared and go with the last of them.
constexpr char kTables[] = R"sql(
CREATE TABLE namespaces (
  name TEXT PRIMARY KEY,
  created_micros INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE prefixes (
  namespace TEXT NOT NULL REFERENCES namespaces (name),
  prefix_id TEXT NOT NULL,
  system_prompt TEXT NOT NULL,
  instruction TEXT NOT NULL,
  placement TEXT NOT NULL,
  separator TEXT NOT NULL,
  template_seconds INTEGER NOT NULL,
  model_fingerprint TEXT NOT NULL,
  tokenizer_fingerprint TEXT NOT NULL,
  token_ids BLOB NOT NULL,  -- 32-bit little-endian integers
  is_default INTEGER NOT NULL,
  PRIMARY KEY (namespace, prefix_id)
);

CREATE TABLE documents (
  namespace TEXT NOT NULL,
  document_id TEXT NOT NULL,
  title TEXT NOT NULL,
  content_digest TEXT NOT NULL,
  metadata_json TEXT NOT NULL,
  prefix_id TEXT NOT NULL,
  writer_version TEXT NOT NULL,
  created_micros INTEGER NOT NULL,
  updated_micros INTEGER NOT NULL,
  expire_micros INTEGER NOT NULL,
  PRIMARY KEY (namespace, document_id),
  FOREIGN KEY (namespace, prefix_id) REFERENCES prefixes (namespace, prefix_id)
);
CREATE INDEX documents_by_expiry ON documents (expire_micros);
CREATE INDEX documents_by_update ON documents (updated_micros);

CREATE TABLE chunks (
  chunk_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  prefix_id TEXT NOT NULL,
  title TEXT NOT NULL,
  text TEXT NOT NULL,
  num_tokens INTEGER NOT NULL,
  PRIMARY KEY (chunk_id, namespace),
  FOREIGN KEY (namespace, prefix_id) REFERENCES prefixes (namespace, prefix_id)
);

CREATE TABLE document_chunks (  -- one row per use of a chunk: what is counted
  namespace TEXT NOT NULL,
  document_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  chunk_id TEXT NOT NULL,
  begin_byte INTEGER NOT NULL,
  end_byte INTEGER NOT NULL,
  PRIMARY KEY (namespace, document_id, ordinal),
  FOREIGN KEY (namespace, document_id) REFERENCES documents (namespace, document_id) ON DELETE CASCADE,
  FOREIGN KEY (chunk_id, namespace) REFERENCES chunks (chunk_id, namespace)
) WITHOUT ROWID;
CREATE INDEX document_chunks_by_chunk ON document_chunks (chunk_id, namespace);

CREATE TABLE pins (
  namespace TEXT NOT NULL,
  chunk_id TEXT NOT NULL,
  owner TEXT NOT NULL,
  expire_micros INTEGER NOT NULL,
  PRIMARY KEY (namespace, chunk_id, owner),
  FOREIGN KEY (chunk_id, namespace) REFERENCES chunks (chunk_id, namespace) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX pins_by_chunk ON pins (chunk_id, namespace);
)sql";

absl::StatusOr<int64_t> SchemaVersion(SqliteDatabase& database) {
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row, database.Query("PRAGMA user_version"));
  CACHECLIP_RETURN_IF_ERROR(row.Step().status());
  return row.Int(0);
}

absl::Status CheckVersion(const SqliteDatabase& database, int64_t version) {
  if (version == kCatalogSchemaVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      database.path(), " is a catalogue of schema version ", version, ", this program works with ",
      kCatalogSchemaVersion, ": use the program that wrote it, or another path and ingest again"));
}

}  // namespace

absl::Status CreateOrCheckCatalogSchema(SqliteDatabase& database) {
  SqliteTransaction transaction(database);
  CACHECLIP_RETURN_IF_ERROR(transaction.BeginWrite());
  CACHECLIP_ASSIGN_OR_RETURN(const int64_t version, SchemaVersion(database));
  if (version != 0) return CheckVersion(database, version);
  CACHECLIP_RETURN_IF_ERROR(database.Execute(kTables));
  CACHECLIP_RETURN_IF_ERROR(database.Execute(absl::StrCat("PRAGMA user_version = ", kCatalogSchemaVersion)));
  return transaction.Commit();
}

absl::Status CheckCatalogSchema(SqliteDatabase& database) {
  CACHECLIP_ASSIGN_OR_RETURN(const int64_t version, SchemaVersion(database));
  if (version == 0)
    return absl::UnavailableError(
        absl::StrCat(database.path(), " is an empty catalogue: its writer is still starting"));
  return CheckVersion(database, version);
}

}  // namespace cacheclip
