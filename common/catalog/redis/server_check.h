// What a server must be to hold a catalogue: new enough, with a policy that evicts no key without TTL, and
// with this program's key layout or none yet. Thread-safe.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "common/catalog/redis/catalog_server.h"

namespace cacheclip {

inline constexpr int kCatalogLayoutVersion = 1;

// `info` is what INFO answers. FAILED_PRECONDITION naming catalog_url for allkeys-* policies and for servers
// older than 6.2.
absl::Status CheckServerInfo(std::string_view info);

// CheckServerInfo() on every primary, then the layout: FAILED_PRECONDITION naming catalog_url for another
// version than kCatalogLayoutVersion; an empty server gets it unless `read_only`, then UNAVAILABLE.
absl::Status CheckCatalogServer(const CatalogServer& server, bool read_only);

}  // namespace cacheclip
