// The catalogue: what exists, whose it is and for how long. It alone decides whether a chunk id may be
// served; bytes in a store never prove existence, so a delete holds at the next look-up everywhere.
// InMemoryCatalog, SqliteCatalog and RedisCatalog are twins under tests/support/catalog_contract.h.
//
// A document's chunks are put with it, in one step: readers see the old or the new version, never a mixture.
// Chunks are counted by reference; what a call releases (no reference left in any namespace) is returned and
// its bytes are the caller's to delete. Expired documents are invisible at once and removed by
// SweepExpired(). Deleting wins over pins.
//
// Thread-safe. Errors: NOT_FOUND and INVALID_ARGUMENT name the field; UNAVAILABLE when the catalogue cannot
// be reached (try again), RESOURCE_EXHAUSTED for limits (records.h) and a full disk, FAILED_PRECONDITION for
// writes to a read-only catalogue. Times come from the Clock given to the implementation.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/catalog/records.h"

namespace cacheclip {

class Catalog {
 public:
  virtual ~Catalog() = default;

  // Creates the namespace, or returns the existing one of that name.
  virtual absl::StatusOr<Namespace> PutNamespace(std::string_view name) = 0;
  virtual absl::StatusOr<Namespace> GetNamespace(std::string_view name) = 0;
  virtual absl::StatusOr<std::vector<Namespace>> ListNamespaces() = 0;  // by name

  // Registers or replaces. A default prefix takes that role from the one before.
  virtual absl::Status PutPrefix(const Prefix& prefix) = 0;
  // An empty `prefix_id` asks for the namespace's default.
  virtual absl::StatusOr<Prefix> GetPrefix(std::string_view namespace_name, std::string_view prefix_id) = 0;
  virtual absl::StatusOr<std::vector<Prefix>> ListPrefixes(std::string_view namespace_name) = 0;  // by id

  // Stores or replaces. `chunks` holds a record for every id in `document.chunks`, in any order; the times
  // created and updated of `document` are ignored. Returns the chunk ids that lost their last reference.
  virtual absl::StatusOr<std::vector<std::string>> PutDocument(const Document& document,
                                                               std::span<const ChunkRecord> chunks) = 0;
  virtual absl::StatusOr<Document> GetDocument(std::string_view namespace_name,
                                               std::string_view document_id) = 0;
  // By document id. `page_size` 0 means kDefaultPageSize; `page_token` is empty or from the page before.
  virtual absl::StatusOr<DocumentPage> ListDocuments(std::string_view namespace_name, int page_size,
                                                     std::string_view page_token) = 0;
  // Returns the chunk ids that lost their last reference; NOT_FOUND if there is no such document.
  virtual absl::StatusOr<std::vector<std::string>> DeleteDocument(std::string_view namespace_name,
                                                                  std::string_view document_id) = 0;

  // One consistent look-up for all: a record per id, in order, or nullopt where the namespace has no living
  // document that uses it. At most kMaxChunksPerLookup ids.
  virtual absl::StatusOr<std::vector<std::optional<ChunkRecord>>> ResolveChunks(
      std::string_view namespace_name, std::span<const std::string> chunk_ids) = 0;

  // Holds the chunks for `owner` until `expire_time`; pinning again moves the expiry. All ids must resolve,
  // or none is pinned (NOT_FOUND naming the first that does not).
  virtual absl::Status PinChunks(std::string_view namespace_name, std::span<const std::string> chunk_ids,
                                 std::string_view owner, absl::Time expire_time) = 0;
  // Drops the owner's pins on these chunks; returns how many there were.
  virtual absl::StatusOr<int64_t> UnpinChunks(std::string_view namespace_name,
                                              std::span<const std::string> chunk_ids,
                                              std::string_view owner) = 0;
  // Living pins by chunk id and owner; pages as in ListDocuments().
  virtual absl::StatusOr<PinPage> ListPins(std::string_view namespace_name, int page_size,
                                           std::string_view page_token) = 0;

  // Removes what has expired: documents (their chunks are returned as released) and pins.
  virtual absl::StatusOr<Removal> SweepExpired() = 0;
  // Removes by time range and by writer version, e.g. after a bad release.
  virtual absl::StatusOr<Removal> TrimDocuments(const TrimFilter& filter) = 0;

  // Recounts everything from the documents and compares: what is listed, referenced, recorded and held must
  // follow from them. Changes nothing. Reads the whole catalogue; a shared one must be quiet meanwhile, else
  // what writers are about may be taken for problems.
  virtual absl::StatusOr<CatalogCheck> Verify() = 0;
  // Sets right what can be set right (the implementation says what) and sweeps. May run beside writers.
  virtual absl::StatusOr<Removal> Repair() = 0;
};

}  // namespace cacheclip
