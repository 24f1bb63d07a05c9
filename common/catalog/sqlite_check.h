// The check of the SQLite catalogue behind SqliteCatalog::Verify() and Repair(). Foreign keys and the schema
// keep what the tables say of each other; what can still go wrong is the file itself, and rows that another
// program changed. Each function runs inside the caller's transaction and with the database's mutex held.
#pragma once

#include "absl/status/statusor.h"
#include "common/catalog/records.h"
#include "common/catalog/sqlite_database.h"

namespace cacheclip {

// Reads every page and every index of the file, follows every foreign key, looks for chunks that no document
// uses.
absl::StatusOr<CatalogCheck> CheckSqliteCatalog(SqliteDatabase& database);

// Drops the chunks that no document uses; the result names those that no namespace has any longer.
absl::StatusOr<Removal> DropUnusedChunks(SqliteDatabase& database);

}  // namespace cacheclip
