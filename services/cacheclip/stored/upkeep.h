// What `cacheclip verify` and `cacheclip purge` do to stored chunks. Functions on opened stores; each may run
// beside servers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/cacheclip/stored/stored.h"

namespace cacheclip {

using UpkeepProgress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

struct TierFindings {
  std::string tier;
  int64_t chunks = 0, bytes = 0;
  std::vector<std::string> damaged;  // "<chunk id>: <reason>"
  int64_t unreadable = 0;            // could not be asked for: the tier failed
};
// Reads every chunk of the tier and compares its checksums. Deletes what is damaged only if `repairs`; else
// nothing changes, not even when a chunk was last used.
absl::StatusOr<TierFindings> VerifyTier(const StoreTier& tier, bool repairs, const UpkeepProgress& progress);

struct CatalogFindings {
  absl::Status status;  // UNAVAILABLE: there is no catalogue yet, or it does not answer; the rest is empty
  CatalogCheck check;   // as it is afterwards
  bool is_repaired = false;
  int64_t released = 0;  // chunks that the repair found used by nobody; their bytes are deleted
};
// Recounts the catalogue; a repair comes before. Problems of a catalogue that others write to meanwhile may
// be none: look again.
absl::StatusOr<CatalogFindings> VerifyCatalog(const Stored& stored, bool repairs);

struct RepairOutcome {
  int64_t missing = 0;   // chunks of documents that the last tier lacked
  int64_t copied = 0;    // of those, found in another tier and copied
  int64_t not_held = 0;  // in no tier: encoded again when somebody asks, or by `cacheclip preload`
};
// Brings chunks that documents refer to from faster tiers into the last one, which should hold everything.
absl::StatusOr<RepairOutcome> RepairLastTier(const Stored& stored, const References& references,
                                             bool is_dry_run, const UpkeepProgress& progress);

// Which documents go: those that meet every condition given; and whether unreferenced chunks go as well.
struct PurgeFilter {
  std::string namespace_name, document_id, writer_version;
  absl::Time updated_from = absl::InfinitePast(), updated_before = absl::InfiniteFuture();
  bool all_documents = false;  // else at least one condition must be given for documents to go
  bool unreferenced = false;
  bool even_if_catalog_is_empty = false;  // `unreferenced` although the catalogue knows no namespace

  bool SelectsDocuments() const;
  bool Selects(const Document& document) const;
};

struct PurgeOutcome {
  int64_t documents = 0;
  int64_t chunks = 0, bytes = 0;      // summed over tiers
  std::vector<std::string> failures;  // what could not be deleted
};
// A document leaves the catalogue first, so that it is served to nobody; then the bytes that nobody refers to
// any longer leave every tier. A dry run counts only. Before anything is removed: UNAVAILABLE if the
// catalogue could not be listed to its end; FAILED_PRECONDITION naming "catalog_url" if unreferenced chunks
// should go but the catalogue is empty and a tier is not.
absl::StatusOr<PurgeOutcome> Purge(const Stored& stored, const PurgeFilter& filter, bool is_dry_run,
                                   const UpkeepProgress& progress);

}  // namespace cacheclip
