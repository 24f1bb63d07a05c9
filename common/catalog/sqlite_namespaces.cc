#include "common/catalog/sqlite_namespaces.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/catalog/sqlite_documents.h"
#include "common/catalog/validate.h"

namespace cacheclip {
namespace {

absl::StatusOr<int64_t> Count(SqliteStatement row) {
  CACHECLIP_RETURN_IF_ERROR(row.Step().status());
  return row.Int(0);
}

}  // namespace

absl::StatusOr<Namespace> FindNamespace(SqliteDatabase& database, std::string_view name) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(name));
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row,
                             database.Query("SELECT created_micros FROM namespaces WHERE name = ?", name));
  CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return NoSuchRecord("namespace", name);
  return Namespace{std::string(name), FromMicros(row.Int(0))};
}

absl::Status InsertNamespace(SqliteDatabase& database, std::string_view name, int64_t now_micros) {
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row, database.Query("SELECT count(*) FROM namespaces"));
  CACHECLIP_ASSIGN_OR_RETURN(const int64_t count, Count(std::move(row)));
  if (count >= kMaxNamespaces)
    return FieldError(absl::StatusCode::kResourceExhausted, "namespace",
                      absl::StrCat("at most ", kMaxNamespaces, " namespaces are allowed"));
  return database.Run("INSERT INTO namespaces VALUES (?, ?)", name, now_micros).status();
}

absl::StatusOr<std::vector<Namespace>> ReadNamespaces(SqliteDatabase& database) {
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row,
                             database.Query("SELECT name, created_micros FROM namespaces ORDER BY name"));
  std::vector<Namespace> namespaces;
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
    if (!found) return namespaces;
    namespaces.push_back({row.Text(0), FromMicros(row.Int(1))});
  }
}

absl::StatusOr<bool> HasPrefix(SqliteDatabase& database, std::string_view namespace_name,
                               std::string_view prefix_id) {
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row,
                             database.Query("SELECT 1 FROM prefixes WHERE namespace = ? AND prefix_id = ?",
                                            namespace_name, prefix_id));
  return row.Step();
}

absl::StatusOr<std::vector<Prefix>> ReadPrefixes(SqliteDatabase& database, std::string_view namespace_name) {
  CACHECLIP_ASSIGN_OR_RETURN(
      SqliteStatement row,
      database.Query("SELECT prefix_id, system_prompt, instruction, placement, separator, template_seconds,"
                     " model_fingerprint, tokenizer_fingerprint, token_ids, is_default FROM prefixes"
                     " WHERE namespace = ? ORDER BY prefix_id",
                     namespace_name));
  std::vector<Prefix> prefixes;
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
    if (!found) return prefixes;
    Prefix prefix{
        .namespace_name = std::string(namespace_name),
        .prefix_id = row.Text(0),
        .system_prompt = row.Text(1),
        .instruction = row.Text(2),
        .placement = row.Text(3),
        .separator = row.Text(4),
        .template_time = absl::FromUnixSeconds(row.Int(5)),
        .model_fingerprint = row.Text(6),
        .tokenizer_fingerprint = row.Text(7),
        .is_default = row.Int(9) != 0,
    };
    const std::string bytes = row.Text(8);
    prefix.token_ids.resize(bytes.size() / sizeof(int32_t));
    std::memcpy(prefix.token_ids.data(), bytes.data(), prefix.token_ids.size() * sizeof(int32_t));
    prefixes.push_back(std::move(prefix));
  }
}

absl::Status ReplacePrefix(SqliteDatabase& database, const Prefix& prefix) {
  CACHECLIP_ASSIGN_OR_RETURN(
      SqliteStatement row,
      database.Query("SELECT count(*) FROM prefixes WHERE namespace = ? AND prefix_id != ?",
                     prefix.namespace_name, prefix.prefix_id));
  CACHECLIP_ASSIGN_OR_RETURN(const int64_t num_others, Count(std::move(row)));
  if (num_others >= kMaxPrefixesPerNamespace)
    return FieldError(
        absl::StatusCode::kResourceExhausted, "prefix_id",
        absl::StrCat("at most ", kMaxPrefixesPerNamespace, " prefixes per namespace are allowed"));
  if (prefix.is_default)
    CACHECLIP_RETURN_IF_ERROR(
        database.Run("UPDATE prefixes SET is_default = 0 WHERE namespace = ?", prefix.namespace_name)
            .status());
  return database
      .Run(
          "INSERT INTO prefixes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (namespace, prefix_id)"
          " DO UPDATE SET system_prompt = excluded.system_prompt, instruction = excluded.instruction,"
          " placement = excluded.placement, separator = excluded.separator,"
          " template_seconds = excluded.template_seconds, model_fingerprint = excluded.model_fingerprint,"
          " tokenizer_fingerprint = excluded.tokenizer_fingerprint, token_ids = excluded.token_ids,"
          " is_default = excluded.is_default",
          prefix.namespace_name, prefix.prefix_id, prefix.system_prompt, prefix.instruction, prefix.placement,
          prefix.separator, absl::ToUnixSeconds(prefix.template_time), prefix.model_fingerprint,
          prefix.tokenizer_fingerprint, prefix.token_ids, int64_t{prefix.is_default})
      .status();
}

// Chunk ids have a fixed length: chunk_id || owner orders like the pair.
absl::StatusOr<std::vector<Pin>> ScanPins(SqliteDatabase& database, std::string_view namespace_name,
                                          std::string_view after, int limit, int64_t now_micros) {
  CACHECLIP_ASSIGN_OR_RETURN(
      SqliteStatement row,
      database.Query(
          "SELECT chunk_id, owner, expire_micros FROM pins WHERE namespace = ? AND expire_micros > ?"
          " AND chunk_id || owner > ? ORDER BY chunk_id, owner LIMIT ?",
          namespace_name, now_micros, after, int64_t{limit}));
  std::vector<Pin> pins;
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
    if (!found) return pins;
    pins.push_back({row.Text(0), row.Text(1), FromMicros(row.Int(2))});
  }
}

}  // namespace cacheclip
