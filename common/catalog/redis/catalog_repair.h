// Setting right which namespaces hold which chunk. Needed only when Redis itself lost writes (a failover) or
// when a writer came back after its write was given up: then a holder may be missing, and a neighbour could
// release bytes in use, or too much, and bytes stay for ever. Visits every reference and every holder in
// bounded steps; may run beside writers. Thread-safe.
#pragma once

#include "absl/status/status.h"
#include "common/catalog/redis/catalog_server.h"

namespace cacheclip {

// Adds the holders that references ask for. A hold without any reference becomes an orphan, which the next
// sweep releases.
absl::Status RepairHolders(const CatalogServer& server);

}  // namespace cacheclip
