// What is stored, opened beside servers that may be running: the persistent tiers that the settings name, and
// the catalogue. For inspect, verify and purge. Looking evicts nothing, whatever budgets the servers have.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/catalog/catalog.h"
#include "common/kv/chunk_key.h"
#include "common/store/chunk_store.h"
#include "services/runtime/config.h"
#include "services/runtime/stores.h"

namespace cacheclip {

struct Stored {
  std::vector<StoreTier> tiers;  // fastest first; memory is never among them
  std::unique_ptr<Catalog> catalog;
};

// `tier` "" = all that are configured, else one of disk, redis, object. NOT_FOUND if nothing is stored there.
absl::StatusOr<Stored> OpenStored(const Config& config, const std::string& tier, CatalogAccess access);

// Whether there is a catalogue to open: a local one is made by the first server, not by looking for it.
bool HasCatalog(const Config& config);

// Which namespaces refer to which chunk.
struct References {
  // UNAVAILABLE: the catalogue is not there yet, or did not answer to the end; the rest is empty then.
  absl::Status status;
  std::vector<std::string> namespaces;
  absl::flat_hash_map<ChunkKey, std::vector<int32_t>> users;  // indices into `namespaces`, ascending
};
absl::StatusOr<References> ReadReferences(Catalog& catalog);

// Calls `visit` for every living document of every namespace, or of `namespace_name` alone.
using DocumentVisitor = std::function<absl::Status(const Document& document)>;
absl::Status ForEachDocument(Catalog& catalog, const std::string& namespace_name,
                             const DocumentVisitor& visit);

// Who refers to a chunk. UNAVAILABLE as ForEachDocument(). Reads the whole catalogue.
struct ChunkUsers {
  std::vector<std::string> namespaces;  // ascending
  std::vector<std::string> documents;   // "namespace/id"; at most kMaxListedDocuments
  int64_t num_documents = 0;
};
inline constexpr size_t kMaxListedDocuments = 100;
absl::StatusOr<ChunkUsers> FindUsers(Catalog& catalog, const ChunkKey& key);

struct TierShare {
  int64_t chunks = 0, bytes = 0;
};
struct TierSurvey {
  std::string tier;
  TierShare all;
  std::vector<TierShare> by_namespace;  // as References::namespaces; a shared chunk counts for each
  // Chunks that no document refers to: prefixes, an auxiliary's own KV, text chunks written back, leftovers.
  TierShare unreferenced;
  int64_t missing = 0;  // chunks of documents that are not in this tier
};
absl::StatusOr<TierSurvey> SurveyTier(const StoreTier& tier, const References& references);

}  // namespace cacheclip
