// The catalogue in ordinary maps: for embedded use without a file and as the readable twin of SqliteCatalog.
// Nothing survives the object. Thread-safe: one mutex around every call.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/catalog/catalog.h"

namespace cacheclip {

class InMemoryCatalog : public Catalog {
 public:
  explicit InMemoryCatalog(const Clock* clock = RealClock())
      : clock_(clock) {}  // `clock` must outlive the catalogue

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
  absl::StatusOr<Removal> Repair() override;  // sweeps

 private:
  struct Chunk {
    ChunkRecord record;
    std::set<std::string> references;  // ids of the documents that use it
  };
  struct Space {  // one namespace
    Namespace info;
    std::map<std::string, Prefix> prefixes;
    std::map<std::string, Document> documents;
    std::map<std::string, Chunk> chunks;
    std::map<std::pair<std::string, std::string>, absl::Time> pins;  // (chunk id, owner) -> expiry
  };

  absl::StatusOr<Space*> FindSpace(std::string_view namespace_name);
  bool Lives(const Document& document) const { return document.expire_time > clock_->Now(); }
  bool Resolves(const Space& space, const Chunk& chunk) const;
  // Drops the document and its references; adds chunk ids left without any to `orphans`.
  void Unlink(Space& space, const std::string& document_id, std::set<std::string>& orphans);
  // Drops the orphans that are still without reference; returns those that no other namespace holds.
  std::vector<std::string> Collect(Space& space, const std::set<std::string>& orphans);
  template <typename Condition>
  Removal RemoveDocuments(Condition condition);

  const Clock* const clock_;
  std::mutex mutex_;
  std::map<std::string, Space, std::less<>> spaces_;
};

}  // namespace cacheclip
