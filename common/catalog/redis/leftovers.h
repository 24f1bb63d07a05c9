// Bringing a namespace on Redis to rest: what has expired, and what writers that died have left. Everything
// in bounded steps; may run beside writers and beside itself. Thread-safe.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/catalog/records.h"
#include "common/catalog/redis/catalog_server.h"

namespace cacheclip {

// Removes expired pins and documents; gives up revisions that nobody has written to since `staged_before`;
// cleans up dead revisions; releases orphans. Returns how many documents expired; adds to `released`.
absl::StatusOr<int64_t> SweepNamespace(const CatalogServer& server, std::string_view namespace_name,
                                       absl::Time staged_before, std::set<std::string>& released);

// Removes the documents of the namespace that meet the filter's times and writer version.
absl::StatusOr<int64_t> TrimNamespace(const CatalogServer& server, std::string_view namespace_name,
                                      const TrimFilter& filter, std::set<std::string>& released);

}  // namespace cacheclip
