// The tables of the SQLite catalogue and their version (docs: the comments in sqlite_schema.cc). A file knows
// its version in `user_version`; a program refuses files of another version instead of guessing. Not
// thread-safe: called with the database's mutex held.
#pragma once

#include "absl/status/status.h"
#include "common/catalog/sqlite_database.h"

namespace cacheclip {

inline constexpr int kCatalogSchemaVersion = 1;

// Creates the tables in an empty file; FAILED_PRECONDITION if it holds another version.
absl::Status CreateOrCheckCatalogSchema(SqliteDatabase& database);

// UNAVAILABLE if the file has no tables yet, FAILED_PRECONDITION if it holds another version.
absl::Status CheckCatalogSchema(SqliteDatabase& database);

}  // namespace cacheclip
