// The namespaces, prefixes and pins of the SQLite catalogue: the statements behind SqliteCatalog's calls that
// are not about documents. Each function runs inside the caller's transaction and with the database's mutex
// held; records are validated. Times are microseconds as stored.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/catalog/records.h"
#include "common/catalog/sqlite_database.h"

namespace cacheclip {

absl::StatusOr<Namespace> FindNamespace(SqliteDatabase& database, std::string_view name);  // or NOT_FOUND
absl::Status InsertNamespace(SqliteDatabase& database, std::string_view name, int64_t now_micros);
absl::StatusOr<std::vector<Namespace>> ReadNamespaces(SqliteDatabase& database);

absl::StatusOr<bool> HasPrefix(SqliteDatabase& database, std::string_view namespace_name,
                               std::string_view prefix_id);
absl::StatusOr<std::vector<Prefix>> ReadPrefixes(SqliteDatabase& database, std::string_view namespace_name);
absl::Status ReplacePrefix(SqliteDatabase& database, const Prefix& prefix);

// At most `limit` living pins whose chunk id + owner is above `after`.
absl::StatusOr<std::vector<Pin>> ScanPins(SqliteDatabase& database, std::string_view namespace_name,
                                          std::string_view after, int limit, int64_t now_micros);

}  // namespace cacheclip
