// Namespaces, prefixes and pins on Redis: the statements behind RedisCatalog's calls that are not about
// documents. A namespace is entered in the registry first and then in its own slot, where it begins to exist;
// a crash between the two is healed by PutNamespace and by sweeping. Records are validated by the caller.
// Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/catalog/records.h"
#include "common/catalog/redis/catalog_server.h"

namespace cacheclip {

absl::StatusOr<Namespace> FindNamespace(const CatalogServer& server, std::string_view name);  // or NOT_FOUND
absl::StatusOr<Namespace> InsertNamespace(const CatalogServer& server, std::string_view name);
absl::StatusOr<std::vector<Namespace>> ReadNamespaces(const CatalogServer& server);  // by name
// Makes a namespace of the registry exist in its slot, if a crash left it out.
absl::Status HealNamespace(const CatalogServer& server, const Namespace& space);

absl::Status ReplacePrefix(const CatalogServer& server, const Prefix& prefix);
absl::StatusOr<Prefix> FindPrefix(const CatalogServer& server, std::string_view namespace_name,
                                  std::string_view prefix_id);  // "": the default
absl::StatusOr<std::vector<Prefix>> ReadPrefixes(const CatalogServer& server,
                                                 std::string_view namespace_name);  // by id

absl::Status InsertPins(const CatalogServer& server, std::string_view namespace_name,
                        std::span<const std::string> chunk_ids, std::string_view owner,
                        absl::Time expire_time);
absl::StatusOr<int64_t> RemovePins(const CatalogServer& server, std::string_view namespace_name,
                                   std::span<const std::string> chunk_ids, std::string_view owner);
// At most `limit` living pins whose chunk id + owner is above `after`.
absl::StatusOr<std::vector<Pin>> ScanPins(const CatalogServer& server, std::string_view namespace_name,
                                          std::string_view after, int limit);

}  // namespace cacheclip
