// Recounts a catalogue on Redis from its documents and compares: what is listed, referenced, recorded, pinned
// and held must follow from the documents, whatever writers did to them or died in. Reads everything into
// memory, without a snapshot: for tests and for a quiet server. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/catalog/redis/catalog_server.h"

namespace cacheclip {

inline constexpr size_t kMaxListedProblems = 100;

struct CatalogCheck {
  int64_t num_namespaces = 0;
  int64_t num_documents = 0;  // expired ones too
  int64_t num_chunks = 0;     // per namespace
  int64_t num_holds = 0;      // pairs of chunk and namespace
  int64_t num_leftovers = 0;  // staged and dead revisions and orphans: harmless, closed by the next sweep
  int64_t num_problems = 0;
  std::vector<std::string> problems;  // the first kMaxListedProblems, in words
};

absl::StatusOr<CatalogCheck> CheckCatalog(const CatalogServer& server);

}  // namespace cacheclip
