#include "services/cacheclip/stored/upkeep.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

struct HeldChunk {
  ChunkKey key;
  int64_t bytes = 0;
};

absl::StatusOr<std::vector<HeldChunk>> ListChunks(const StoreTier& tier) {
  std::vector<HeldChunk> held;
  CACHECLIP_RETURN_IF_ERROR(tier.store->ForEach([&](const ChunkKey& key, int64_t bytes) {
    held.push_back({key, bytes});
  }));
  return held;
}

// What a dry run says would be released: chunks that only documents in `going` use.
absl::flat_hash_set<ChunkKey> WouldBeReleased(const absl::flat_hash_map<ChunkKey, int64_t>& all_uses,
                                              const absl::flat_hash_map<ChunkKey, int64_t>& going_uses) {
  absl::flat_hash_set<ChunkKey> released;
  for (const auto& [key, uses] : going_uses)
    if (all_uses.at(key) == uses) released.insert(key);
  return released;
}

struct Victims {
  bool has_namespaces = false;
  std::vector<std::pair<std::string, std::string>> documents;  // namespace and id
  absl::flat_hash_set<ChunkKey> released;                      // as far as a look tells
  absl::flat_hash_set<ChunkKey> kept;                          // in use by what stays
};

// All documents or an error: what a listing that broke off did not show would be taken for unused.
absl::StatusOr<Victims> FindVictims(Catalog& catalog, const PurgeFilter& filter) {
  Victims victims;
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<Namespace> namespaces, catalog.ListNamespaces());
  victims.has_namespaces = !namespaces.empty();
  absl::flat_hash_map<ChunkKey, int64_t> all_uses, going_uses;
  CACHECLIP_RETURN_IF_ERROR(ForEachDocument(catalog, "", [&](const Document& document) {
    const bool goes = filter.SelectsDocuments() && filter.Selects(document);
    if (goes) victims.documents.emplace_back(document.namespace_name, document.document_id);
    for (const ChunkReference& chunk : document.chunks) {
      CACHECLIP_ASSIGN_OR_RETURN(const ChunkKey key, ChunkKey::FromHex(chunk.chunk_id));
      ++all_uses[key];
      if (goes) ++going_uses[key];
    }
    return absl::OkStatus();
  }));
  victims.released = WouldBeReleased(all_uses, going_uses);
  for (const auto& [key, uses] : all_uses)
    if (!victims.released.contains(key)) victims.kept.insert(key);
  return victims;
}

// A catalogue without namespaces beside tiers that hold chunks is most likely not the one that knows them.
absl::Status CheckCatalogIsTheRightOne(const Stored& stored, const PurgeFilter& filter,
                                       const Victims& victims) {
  if (!filter.unreferenced || filter.even_if_catalog_is_empty || victims.has_namespaces)
    return absl::OkStatus();
  for (const StoreTier& tier : stored.tiers) {
    CACHECLIP_ASSIGN_OR_RETURN(const std::vector<HeldChunk> held, ListChunks(tier));
    if (held.empty()) continue;
    return FieldError(absl::StatusCode::kFailedPrecondition, "catalog_url",
                      absl::StrCat("nothing was removed: this catalogue is empty, but tier ",
                                   std::string(TierName(tier.tier)), " holds ", held.size(),
                                   " chunks; name the catalogue that knows them, or say "
                                   "--even-if-catalog-is-empty to remove them all"));
  }
  return absl::OkStatus();
}

// Deletes from the catalogue; `released` becomes what the catalogue says, which alone counts.
absl::Status DeleteDocuments(Catalog& catalog, Victims& victims, const UpkeepProgress& progress) {
  victims.released.clear();
  int64_t done = 0;
  for (const auto& [namespace_name, document_id] : victims.documents) {
    const auto released = catalog.DeleteDocument(namespace_name, document_id);
    if (!released.ok() && !absl::IsNotFound(released.status())) return released.status();
    if (released.ok()) {
      for (const std::string& id : *released) {
        CACHECLIP_ASSIGN_OR_RETURN(const ChunkKey key, ChunkKey::FromHex(id));
        victims.released.insert(key);
      }
    }
    progress("documents", ++done, static_cast<int64_t>(victims.documents.size()));
  }
  return absl::OkStatus();
}

absl::Status DeleteChunks(const StoreTier& tier, const PurgeFilter& filter, const Victims& victims,
                          bool is_dry_run, const UpkeepProgress& progress, PurgeOutcome& outcome) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<HeldChunk> held, ListChunks(tier));
  int64_t done = 0;
  for (const HeldChunk& chunk : held) {
    progress(std::string(TierName(tier.tier)), ++done, static_cast<int64_t>(held.size()));
    const bool goes =
        victims.released.contains(chunk.key) || (filter.unreferenced && !victims.kept.contains(chunk.key));
    if (!goes) continue;
    if (!is_dry_run) {
      const absl::Status status = tier.store->Delete(chunk.key);
      if (!status.ok()) {
        outcome.failures.push_back(absl::StrCat(std::string(TierName(tier.tier)), " ", chunk.key.ToHex(),
                                                ": ", std::string(status.message())));
        continue;
      }
    }
    ++outcome.chunks;
    outcome.bytes += chunk.bytes;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TierFindings> VerifyTier(const StoreTier& tier, bool repairs, const UpkeepProgress& progress) {
  TierFindings findings{.tier = std::string(TierName(tier.tier))};
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<HeldChunk> held, ListChunks(tier));
  for (const HeldChunk& chunk : held) {
    const absl::Status status = tier.store->Get(chunk.key, {.changes_nothing = !repairs}).status();
    ++findings.chunks;
    findings.bytes += chunk.bytes;
    if (absl::IsDataLoss(status)) {
      findings.damaged.push_back(absl::StrCat(chunk.key.ToHex(), ": ", std::string(status.message())));
    } else if (!status.ok() && !absl::IsNotFound(status)) {  // not found: evicted meanwhile
      ++findings.unreadable;
    }
    progress(findings.tier, findings.chunks, static_cast<int64_t>(held.size()));
  }
  return findings;
}

absl::StatusOr<CatalogFindings> VerifyCatalog(const Stored& stored, bool repairs) {
  CatalogFindings findings;
  if (repairs) {
    const absl::StatusOr<Removal> removal = stored.catalog->Repair();
    if (absl::IsUnavailable(removal.status())) return CatalogFindings{.status = removal.status()};
    CACHECLIP_RETURN_IF_ERROR(removal.status());
    findings.is_repaired = true;
    findings.released = static_cast<int64_t>(removal->released_chunk_ids.size());
    for (const std::string& id : removal->released_chunk_ids) {
      CACHECLIP_ASSIGN_OR_RETURN(const ChunkKey key, ChunkKey::FromHex(id));
      for (const StoreTier& tier : stored.tiers) CACHECLIP_RETURN_IF_ERROR(tier.store->Delete(key));
    }
  }
  absl::StatusOr<CatalogCheck> check = stored.catalog->Verify();
  if (absl::IsUnavailable(check.status())) return CatalogFindings{.status = check.status()};
  CACHECLIP_RETURN_IF_ERROR(check.status());
  findings.check = *std::move(check);
  return findings;
}

absl::StatusOr<RepairOutcome> RepairLastTier(const Stored& stored, const References& references,
                                             bool is_dry_run, const UpkeepProgress& progress) {
  RepairOutcome outcome;
  ChunkStore& last = *stored.tiers.back().store;
  int64_t done = 0;
  for (const auto& [key, users] : references.users) {
    progress("repair", ++done, static_cast<int64_t>(references.users.size()));
    CACHECLIP_ASSIGN_OR_RETURN(const bool is_held, last.Contains(key));
    if (is_held) continue;
    ++outcome.missing;
    bool found = false;
    for (size_t i = 0; i + 1 < stored.tiers.size() && !found; ++i) {
      auto hit = stored.tiers[i].store->Get(key, {.changes_nothing = is_dry_run});
      found = hit.ok();
      if (found && !is_dry_run) CACHECLIP_RETURN_IF_ERROR(last.Put(hit->chunk));
    }
    ++(found ? outcome.copied : outcome.not_held);
  }
  return outcome;
}

bool PurgeFilter::SelectsDocuments() const {
  return all_documents || !namespace_name.empty() || !document_id.empty() || !writer_version.empty() ||
         updated_from != absl::InfinitePast() || updated_before != absl::InfiniteFuture();
}

bool PurgeFilter::Selects(const Document& document) const {
  return (namespace_name.empty() || document.namespace_name == namespace_name) &&
         (document_id.empty() || document.document_id == document_id) &&
         (writer_version.empty() || document.writer_version == writer_version) &&
         document.updated_time >= updated_from && document.updated_time < updated_before;
}

absl::StatusOr<PurgeOutcome> Purge(const Stored& stored, const PurgeFilter& filter, bool is_dry_run,
                                   const UpkeepProgress& progress) {
  absl::StatusOr<Victims> found = FindVictims(*stored.catalog, filter);
  if (absl::IsUnavailable(found.status()))
    return FieldError(absl::StatusCode::kUnavailable, "catalog_url",
                      absl::StrCat("nothing was removed: without the whole catalogue nobody knows which "
                                   "chunks are in use; try again when it answers: ",
                                   std::string(found.status().message())));
  CACHECLIP_RETURN_IF_ERROR(found.status());
  Victims& victims = *found;
  CACHECLIP_RETURN_IF_ERROR(CheckCatalogIsTheRightOne(stored, filter, victims));
  PurgeOutcome outcome{.documents = static_cast<int64_t>(victims.documents.size())};
  if (!is_dry_run) CACHECLIP_RETURN_IF_ERROR(DeleteDocuments(*stored.catalog, victims, progress));
  for (const StoreTier& tier : stored.tiers)
    CACHECLIP_RETURN_IF_ERROR(DeleteChunks(tier, filter, victims, is_dry_run, progress, outcome));
  return outcome;
}

}  // namespace cacheclip
