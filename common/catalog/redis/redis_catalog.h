// The catalogue on Redis or Redis Cluster, shared by any number of ingestion, generation and selector
// processes. A twin of SqliteCatalog; docs/catalog-on-redis.md explains keys and steps.
//
// Every change that a reader can see is one Lua script; ResolveChunks() is one round trip. A process that
// dies at any moment leaves the state before or after its call, and at most leftovers that SweepExpired()
// closes: chunks are then reported as released by that sweep, at least once, never while a document uses
// them. Under several writers, what a call releases may be returned to another call that cleans up at the
// same time.
//
// Open() refuses a server that evicts keys without TTL (maxmemory-policy allkeys-*), is older than 6.2 or
// holds another layout: FAILED_PRECONDITION naming catalog_url. No call waits longer than `timeout` per round
// trip. Writes to a read-only catalogue are FAILED_PRECONDITION. Processes need synchronised clocks for
// expiry. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/catalog/catalog.h"
#include "common/catalog/redis/catalog_server.h"
#include "common/redis/redis_client.h"

namespace cacheclip {

struct RedisCatalogOptions {
  std::shared_ptr<RedisClient> client;  // may be shared with others
  // Catalogues of one database need a root each.
  std::string root = "cc:cat";                 // before every key; 1 … 64 of letters, digits, : . _ -
  absl::Duration timeout = absl::Seconds(10);  // longest wait for one round trip, a failover included
  // How long a writer may be silent in the middle of a document before a sweep gives up what it has staged.
  absl::Duration staged_timeout = absl::Minutes(15);
  const Clock* clock = RealClock();  // must outlive the catalogue
};

class RedisCatalog : public Catalog {
 public:
  static absl::StatusOr<std::unique_ptr<RedisCatalog>> Open(RedisCatalogOptions options);
  // Needs no server yet: calls answer UNAVAILABLE until there is one that a writer has prepared.
  static std::unique_ptr<RedisCatalog> OpenReadOnly(RedisCatalogOptions options);

  absl::StatusOr<Namespace> PutNamespace(std::string_view name) override;
  absl::StatusOr<Namespace> GetNamespace(std::string_view name) override;
  absl::StatusOr<std::vector<Namespace>> ListNamespaces() override;
  absl::Status PutPrefix(const Prefix& prefix) override;
  absl::StatusOr<Prefix> GetPrefix(std::string_view namespace_name, std::string_view prefix_id) override;
  absl::StatusOr<std::vector<Prefix>> ListPrefixes(std::string_view namespace_name) override;
  absl::StatusOr<std::vector<std::string>> PutDocument(const Document& document,
                                                       std::span<const ChunkRecord> chunks) override;
  absl::StatusOr<Document> GetDocument(std::string_view namespace_name,
                                       std::string_view document_id) override;
  absl::StatusOr<DocumentPage> ListDocuments(std::string_view namespace_name, int page_size,
                                             std::string_view page_token) override;
  absl::StatusOr<std::vector<std::string>> DeleteDocument(std::string_view namespace_name,
                                                          std::string_view document_id) override;
  absl::StatusOr<std::vector<std::optional<ChunkRecord>>> ResolveChunks(
      std::string_view namespace_name, std::span<const std::string> chunk_ids) override;
  absl::Status PinChunks(std::string_view namespace_name, std::span<const std::string> chunk_ids,
                         std::string_view owner, absl::Time expire_time) override;
  absl::StatusOr<int64_t> UnpinChunks(std::string_view namespace_name, std::span<const std::string> chunk_ids,
                                      std::string_view owner) override;
  absl::StatusOr<PinPage> ListPins(std::string_view namespace_name, int page_size,
                                   std::string_view page_token) override;
  absl::StatusOr<Removal> SweepExpired() override;
  absl::StatusOr<Removal> TrimDocuments(const TrimFilter& filter) override;
  absl::StatusOr<CatalogCheck> Verify() override;
  // Sets right which namespaces hold which chunk, as after a failover that lost writes; visits every chunk.
  absl::StatusOr<Removal> Repair() override;

 private:
  RedisCatalog(RedisCatalogOptions options, bool read_only);

  absl::Status ReadyToRead();   // checks the server once
  absl::Status ReadyToWrite();  // and that this catalogue may write
  // One attempt of PutDocument(); ABORTED when a sweep gave it up.
  absl::Status PutOnce(const Document& document, std::span<const ChunkRecord> chunks,
                       std::set<std::string>& released);
  // The document is gone already: what cannot be cleaned up now is done by the next sweep.
  void CleanUp(std::string_view namespace_name, const std::string& revision, std::set<std::string>& released);

  const RedisCatalogOptions options_;
  const bool read_only_;
  const CatalogServer server_;
  std::atomic<bool> is_checked_ = false;
};

}  // namespace cacheclip
