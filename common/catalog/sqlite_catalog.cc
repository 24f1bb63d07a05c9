#include "common/catalog/sqlite_catalog.h"

#include <sys/stat.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/catalog/sqlite_check.h"
#include "common/catalog/sqlite_database.h"
#include "common/catalog/sqlite_documents.h"
#include "common/catalog/sqlite_namespaces.h"
#include "common/catalog/sqlite_schema.h"
#include "common/catalog/validate.h"

namespace cacheclip {
SqliteCatalog::SqliteCatalog(SqliteCatalogOptions options, bool read_only)
    : options_(std::move(options)), read_only_(read_only) {}
SqliteCatalog::~SqliteCatalog() = default;

absl::StatusOr<std::unique_ptr<SqliteCatalog>> SqliteCatalog::Open(SqliteCatalogOptions options) {
  std::unique_ptr<SqliteCatalog> catalog(new SqliteCatalog(std::move(options), /*read_only=*/false));
  CACHECLIP_ASSIGN_OR_RETURN(catalog->database_, SqliteDatabase::Open({catalog->options_.path, false,
                                                                       catalog->options_.busy_timeout}));
  CACHECLIP_RETURN_IF_ERROR(CreateOrCheckCatalogSchema(*catalog->database_));
  return catalog;
}

std::unique_ptr<SqliteCatalog> SqliteCatalog::OpenReadOnly(SqliteCatalogOptions options) {
  return std::unique_ptr<SqliteCatalog>(new SqliteCatalog(std::move(options), /*read_only=*/true));
}

absl::Status SqliteCatalog::EnsureOpen() {
  if (!read_only_) return absl::OkStatus();
  struct stat file;
  if (::stat(options_.path.c_str(), &file) != 0) {
    database_.reset();
    return absl::UnavailableError(
        absl::StrCat("there is no catalogue at ", options_.path,
                     " yet: start the ingestion service with the same catalogue path"));
  }
  // A catalogue that was deleted and made anew has another inode; the old one must not be believed any more.
  const std::pair<uint64_t, uint64_t> identity(file.st_dev, file.st_ino);
  if (database_ != nullptr && identity == file_identity_) return absl::OkStatus();
  database_.reset();
  CACHECLIP_ASSIGN_OR_RETURN(auto database,
                             SqliteDatabase::Open({options_.path, true, options_.busy_timeout}));
  CACHECLIP_RETURN_IF_ERROR(CheckCatalogSchema(*database));
  database_ = std::move(database);
  file_identity_ = identity;
  return absl::OkStatus();
}

template <typename Body>
auto SqliteCatalog::Read(Body body) -> decltype(body(*database_)) {
  std::lock_guard lock(mutex_);
  CACHECLIP_RETURN_IF_ERROR(EnsureOpen());
  SqliteTransaction transaction(*database_);
  CACHECLIP_RETURN_IF_ERROR(transaction.BeginRead());
  auto result = body(*database_);
  if (result.ok()) CACHECLIP_RETURN_IF_ERROR(transaction.Commit());
  return result;
}

template <typename Body>
auto SqliteCatalog::Write(Body body) -> decltype(body(*database_)) {
  if (read_only_)
    return absl::FailedPreconditionError(absl::StrCat(options_.path,
                                                      " was opened read-only: only the ingestion "
                                                      "service writes to the catalogue"));
  std::lock_guard lock(mutex_);
  SqliteTransaction transaction(*database_);
  CACHECLIP_RETURN_IF_ERROR(transaction.BeginWrite());
  auto result = body(*database_);
  if (result.ok()) CACHECLIP_RETURN_IF_ERROR(transaction.Commit());
  return result;
}

absl::StatusOr<Namespace> SqliteCatalog::PutNamespace(std::string_view name) {
  return Write([&](SqliteDatabase& database) -> absl::StatusOr<Namespace> {
    absl::StatusOr<Namespace> existing = FindNamespace(database, name);
    if (!absl::IsNotFound(existing.status())) return existing;
    CACHECLIP_RETURN_IF_ERROR(InsertNamespace(database, name, ToMicros(options_.clock->Now())));
    return FindNamespace(database, name);
  });
}

absl::StatusOr<Namespace> SqliteCatalog::GetNamespace(std::string_view name) {
  return Read([&](SqliteDatabase& database) { return FindNamespace(database, name); });
}

absl::StatusOr<std::vector<Namespace>> SqliteCatalog::ListNamespaces() {
  return Read([&](SqliteDatabase& database) { return ReadNamespaces(database); });
}

absl::Status SqliteCatalog::PutPrefix(const Prefix& prefix) {
  CACHECLIP_RETURN_IF_ERROR(ValidatePrefix(prefix));
  return Write([&](SqliteDatabase& database) -> absl::Status {
    CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, prefix.namespace_name).status());
    return ReplacePrefix(database, prefix);
  });
}

absl::StatusOr<Prefix> SqliteCatalog::GetPrefix(std::string_view namespace_name, std::string_view prefix_id) {
  CACHECLIP_ASSIGN_OR_RETURN(std::vector<Prefix> prefixes, ListPrefixes(namespace_name));
  for (Prefix& prefix : prefixes)
    if (prefix_id.empty() ? prefix.is_default : prefix.prefix_id == prefix_id) return std::move(prefix);
  return NoSuchRecord("prefix_id", prefix_id.empty() ? "(default)" : prefix_id);
}

absl::StatusOr<std::vector<Prefix>> SqliteCatalog::ListPrefixes(std::string_view namespace_name) {
  return Read([&](SqliteDatabase& database) -> absl::StatusOr<std::vector<Prefix>> {
    CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, namespace_name).status());
    return ReadPrefixes(database, namespace_name);
  });
}

absl::StatusOr<std::vector<std::string>> SqliteCatalog::PutDocument(const Document& document,
                                                                    std::span<const ChunkRecord> chunks) {
  CACHECLIP_RETURN_IF_ERROR(ValidateDocument(document, chunks));
  return Write([&](SqliteDatabase& database) -> absl::StatusOr<std::vector<std::string>> {
    CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, document.namespace_name).status());
    CACHECLIP_ASSIGN_OR_RETURN(const bool found,
                               HasPrefix(database, document.namespace_name, document.prefix_id));
    if (!found) return NoSuchRecord("prefix_id", document.prefix_id);
    return ReplaceDocument(database, document, chunks, ToMicros(options_.clock->Now()));
  });
}

absl::StatusOr<Document> SqliteCatalog::GetDocument(std::string_view namespace_name,
                                                    std::string_view document_id) {
  CACHECLIP_RETURN_IF_ERROR(ValidateDocumentId(document_id));
  return Read([&](SqliteDatabase& database) -> absl::StatusOr<Document> {
    CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, namespace_name).status());
    CACHECLIP_ASSIGN_OR_RETURN(
        auto document, FindDocument(database, namespace_name, document_id, ToMicros(options_.clock->Now())));
    if (!document) return NoSuchRecord("document_id", document_id);
    return *std::move(document);
  });
}

absl::StatusOr<DocumentPage> SqliteCatalog::ListDocuments(std::string_view namespace_name, int page_size,
                                                          std::string_view page_token) {
  CACHECLIP_ASSIGN_OR_RETURN(const int limit, EffectivePageSize(page_size));
  CACHECLIP_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(page_token));
  return Read([&](SqliteDatabase& database) -> absl::StatusOr<DocumentPage> {
    CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, namespace_name).status());
    DocumentPage page;
    CACHECLIP_ASSIGN_OR_RETURN(page.documents, ScanDocuments(database, namespace_name, after, limit + 1,
                                                             ToMicros(options_.clock->Now())));
    if (static_cast<int>(page.documents.size()) > limit) {
      page.documents.pop_back();
      page.next_page_token = EncodePageToken(page.documents.back().document_id);
    }
    return page;
  });
}

absl::StatusOr<std::vector<std::string>> SqliteCatalog::DeleteDocument(std::string_view namespace_name,
                                                                       std::string_view document_id) {
  CACHECLIP_RETURN_IF_ERROR(ValidateDocumentId(document_id));
  return Write([&](SqliteDatabase& database) -> absl::StatusOr<std::vector<std::string>> {
    CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, namespace_name).status());
    CACHECLIP_ASSIGN_OR_RETURN(const auto document, FindDocument(database, namespace_name, document_id,
                                                                 ToMicros(options_.clock->Now())));
    if (!document) return NoSuchRecord("document_id", document_id);
    const DocumentKey key{std::string(namespace_name), std::string(document_id)};
    CACHECLIP_ASSIGN_OR_RETURN(Removal removal, RemoveDocuments(database, {&key, 1}));
    return std::move(removal.released_chunk_ids);
  });
}

absl::StatusOr<std::vector<std::optional<ChunkRecord>>> SqliteCatalog::ResolveChunks(
    std::string_view namespace_name, std::span<const std::string> chunk_ids) {
  CACHECLIP_RETURN_IF_ERROR(ValidateLookup(chunk_ids));
  return Read([&](SqliteDatabase& database) -> absl::StatusOr<std::vector<std::optional<ChunkRecord>>> {
    CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, namespace_name).status());
    const int64_t now_micros = ToMicros(options_.clock->Now());
    std::vector<std::optional<ChunkRecord>> records;
    for (const std::string& chunk_id : chunk_ids) {
      CACHECLIP_ASSIGN_OR_RETURN(auto record, FindChunk(database, namespace_name, chunk_id, now_micros));
      records.push_back(std::move(record));
    }
    return records;
  });
}

absl::Status SqliteCatalog::PinChunks(std::string_view namespace_name, std::span<const std::string> chunk_ids,
                                      std::string_view owner, absl::Time expire_time) {
  CACHECLIP_RETURN_IF_ERROR(ValidateLookup(chunk_ids));
  CACHECLIP_RETURN_IF_ERROR(ValidatePinOwner(owner));
  return Write([&](SqliteDatabase& database) -> absl::Status {
    CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, namespace_name).status());
    for (const std::string& chunk_id : chunk_ids) {
      CACHECLIP_ASSIGN_OR_RETURN(
          const auto record, FindChunk(database, namespace_name, chunk_id, ToMicros(options_.clock->Now())));
      if (!record) return NoSuchRecord("chunk_ids", chunk_id);
      CACHECLIP_RETURN_IF_ERROR(
          database
              .Run("INSERT INTO pins VALUES (?, ?, ?, ?) ON CONFLICT (namespace, chunk_id, owner)"
                   " DO UPDATE SET expire_micros = excluded.expire_micros",
                   namespace_name, chunk_id, owner, ToMicros(expire_time))
              .status());
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<int64_t> SqliteCatalog::UnpinChunks(std::string_view namespace_name,
                                                   std::span<const std::string> chunk_ids,
                                                   std::string_view owner) {
  CACHECLIP_RETURN_IF_ERROR(ValidateLookup(chunk_ids));
  CACHECLIP_RETURN_IF_ERROR(ValidatePinOwner(owner));
  return Write([&](SqliteDatabase& database) -> absl::StatusOr<int64_t> {
    CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, namespace_name).status());
    int64_t num_removed = 0;
    for (const std::string& chunk_id : chunk_ids) {
      CACHECLIP_ASSIGN_OR_RETURN(
          const int64_t num_changed,
          database.Run("DELETE FROM pins WHERE namespace = ? AND chunk_id = ? AND owner = ?", namespace_name,
                       chunk_id, owner));
      num_removed += num_changed;
    }
    return num_removed;
  });
}

absl::StatusOr<PinPage> SqliteCatalog::ListPins(std::string_view namespace_name, int page_size,
                                                std::string_view page_token) {
  CACHECLIP_ASSIGN_OR_RETURN(const int limit, EffectivePageSize(page_size));
  CACHECLIP_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(page_token));
  return Read([&](SqliteDatabase& database) -> absl::StatusOr<PinPage> {
    CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, namespace_name).status());
    PinPage page;
    CACHECLIP_ASSIGN_OR_RETURN(
        page.pins, ScanPins(database, namespace_name, after, limit + 1, ToMicros(options_.clock->Now())));
    if (static_cast<int>(page.pins.size()) > limit) {
      page.pins.pop_back();
      page.next_page_token = EncodePageToken(page.pins.back().chunk_id + page.pins.back().owner);
    }
    return page;
  });
}

absl::StatusOr<Removal> SqliteCatalog::SweepExpired() {
  return Write([&](SqliteDatabase& database) -> absl::StatusOr<Removal> {
    const int64_t now_micros = ToMicros(options_.clock->Now());
    CACHECLIP_RETURN_IF_ERROR(database.Run("DELETE FROM pins WHERE expire_micros <= ?", now_micros).status());
    CACHECLIP_ASSIGN_OR_RETURN(
        SqliteStatement rows,
        database.Query("SELECT namespace, document_id FROM documents WHERE expire_micros <= ?", now_micros));
    CACHECLIP_ASSIGN_OR_RETURN(const auto keys, ReadDocumentKeys(std::move(rows)));
    return RemoveDocuments(database, keys);
  });
}

absl::StatusOr<Removal> SqliteCatalog::TrimDocuments(const TrimFilter& filter) {
  CACHECLIP_RETURN_IF_ERROR(ValidateTrimFilter(filter));
  return Write([&](SqliteDatabase& database) -> absl::StatusOr<Removal> {
    if (!filter.namespace_name.empty())
      CACHECLIP_RETURN_IF_ERROR(FindNamespace(database, filter.namespace_name).status());
    CACHECLIP_ASSIGN_OR_RETURN(
        SqliteStatement rows,
        database.Query(
            "SELECT namespace, document_id FROM documents WHERE (?1 = '' OR namespace = ?1)"
            " AND updated_micros >= ?2 AND updated_micros < ?3 AND (?4 = '' OR writer_version = ?4)",
            filter.namespace_name, ToMicros(filter.updated_from), ToMicros(filter.updated_until),
            filter.writer_version));
    CACHECLIP_ASSIGN_OR_RETURN(const auto keys, ReadDocumentKeys(std::move(rows)));
    return RemoveDocuments(database, keys);
  });
}

absl::StatusOr<CatalogCheck> SqliteCatalog::Verify() {
  return Read([](SqliteDatabase& database) { return CheckSqliteCatalog(database); });
}

absl::StatusOr<Removal> SqliteCatalog::Repair() {
  CACHECLIP_ASSIGN_OR_RETURN(Removal dropped,
                             Write([](SqliteDatabase& database) { return DropUnusedChunks(database); }));
  CACHECLIP_ASSIGN_OR_RETURN(Removal swept, SweepExpired());
  std::set<std::string> released(dropped.released_chunk_ids.begin(), dropped.released_chunk_ids.end());
  released.insert(swept.released_chunk_ids.begin(), swept.released_chunk_ids.end());
  return Removal{swept.num_documents, {released.begin(), released.end()}};
}

}  // namespace cacheclip
