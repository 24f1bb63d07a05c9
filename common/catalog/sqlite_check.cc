#include "common/catalog/sqlite_check.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace cacheclip {
namespace {

absl::Status CheckFile(SqliteDatabase& database, CatalogCheck& check) {
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row, database.Query("PRAGMA integrity_check(100)"));
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
    if (!found) return absl::OkStatus();
    if (std::string line = row.Text(0); line != "ok") check.AddProblem(absl::StrCat("file: ", line));
  }
}

absl::Status CheckForeignKeys(SqliteDatabase& database, CatalogCheck& check) {
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row, database.Query("PRAGMA foreign_key_check"));
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
    if (!found) return absl::OkStatus();
    check.AddProblem(absl::StrCat("a row of ", row.Text(0), " has nothing to refer to in ", row.Text(2)));
  }
}

absl::StatusOr<int64_t> Count(SqliteDatabase& database, std::string_view sql) {
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row, database.Query(sql));
  CACHECLIP_RETURN_IF_ERROR(row.Step().status());
  return row.Int(0);
}

// (chunk id, namespace)
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> UnusedChunks(SqliteDatabase& database) {
  CACHECLIP_ASSIGN_OR_RETURN(
      SqliteStatement row,
      database.Query("SELECT chunk_id, namespace FROM chunks WHERE NOT EXISTS (SELECT 1 FROM document_chunks"
                     " WHERE document_chunks.chunk_id = chunks.chunk_id"
                     " AND document_chunks.namespace = chunks.namespace)"));
  std::vector<std::pair<std::string, std::string>> chunks;
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
    if (!found) return chunks;
    chunks.emplace_back(row.Text(0), row.Text(1));
  }
}

}  // namespace

absl::StatusOr<CatalogCheck> CheckSqliteCatalog(SqliteDatabase& database) {
  CatalogCheck check;
  CACHECLIP_ASSIGN_OR_RETURN(check.num_namespaces, Count(database, "SELECT COUNT(*) FROM namespaces"));
  CACHECLIP_ASSIGN_OR_RETURN(check.num_documents, Count(database, "SELECT COUNT(*) FROM documents"));
  CACHECLIP_ASSIGN_OR_RETURN(check.num_chunks, Count(database, "SELECT COUNT(*) FROM chunks"));
  check.num_holds = check.num_chunks;  // a row of a namespace is what keeps the bytes
  CACHECLIP_RETURN_IF_ERROR(CheckFile(database, check));
  CACHECLIP_RETURN_IF_ERROR(CheckForeignKeys(database, check));
  CACHECLIP_ASSIGN_OR_RETURN(const auto unused, UnusedChunks(database));
  for (const auto& [chunk_id, namespace_name] : unused)
    check.AddProblem(absl::StrCat(namespace_name, " holds chunk ", chunk_id, " and does not use it"));
  return check;
}

absl::StatusOr<Removal> DropUnusedChunks(SqliteDatabase& database) {
  CACHECLIP_ASSIGN_OR_RETURN(const auto unused, UnusedChunks(database));
  std::set<std::string> released;
  for (const auto& [chunk_id, namespace_name] : unused) {
    CACHECLIP_RETURN_IF_ERROR(
        database.Run("DELETE FROM chunks WHERE chunk_id = ? AND namespace = ?", chunk_id, namespace_name)
            .status());
    CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row,
                               database.Query("SELECT 1 FROM chunks WHERE chunk_id = ?", chunk_id));
    CACHECLIP_ASSIGN_OR_RETURN(const bool is_held, row.Step());
    if (!is_held) released.insert(chunk_id);
  }
  return Removal{0, {released.begin(), released.end()}};
}

}  // namespace cacheclip
