// Writing a document on Redis. It is staged under a revision of its own in bounded batches, which nobody
// sees; then one script makes that revision the document, however many chunks it has. Before a chunk can be
// served its namespace is among the chunk's holders, so that no other namespace releases its bytes: a writer
// that dies between the steps leaves a staged revision and holders too many, never too few. Sweeping gives it
// up. Arguments are validated by the caller. Thread-safe.
#pragma once

#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/catalog/records.h"
#include "common/catalog/redis/catalog_server.h"

namespace cacheclip {

inline constexpr size_t kMaxUsesPerBatch = 256;
inline constexpr size_t kMaxBatchBytes = size_t{1} << 20;  // of records; a longer record goes alone

std::string RandomRevision();  // 64 random bits in hex

// Everything but the switch. NOT_FOUND for an unknown namespace or prefix; ABORTED when the revision was
// given up by somebody who sweeps: begin again with another.
absl::Status StageDocument(const CatalogServer& server, const Document& document,
                           std::span<const ChunkRecord> chunks, const std::string& revision);

// The switch. Returns the revision that it replaced, to be cleaned up, or "". ABORTED as above.
absl::StatusOr<std::string> CommitDocument(const CatalogServer& server, const Document& document,
                                           const std::string& revision);

}  // namespace cacheclip
