// Recounts a catalogue on Redis from its documents and compares: what is listed, referenced, recorded, pinned
// and held must follow from the documents, whatever writers did to them or died in. Reads everything into
// memory, without a snapshot: for tests and for a quiet server. Thread-safe.
#pragma once

#include "absl/status/statusor.h"
#include "common/catalog/records.h"
#include "common/catalog/redis/catalog_server.h"

namespace cacheclip {

absl::StatusOr<CatalogCheck> CheckCatalog(const CatalogServer& server);

}  // namespace cacheclip
