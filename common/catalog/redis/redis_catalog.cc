#include "common/catalog/redis/redis_catalog.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/catalog/redis/catalog_check.h"
#include "common/catalog/redis/catalog_repair.h"
#include "common/catalog/redis/document_put.h"
#include "common/catalog/redis/document_reads.h"
#include "common/catalog/redis/document_removal.h"
#include "common/catalog/redis/leftovers.h"
#include "common/catalog/redis/redis_namespaces.h"
#include "common/catalog/redis/server_check.h"
#include "common/catalog/validate.h"

namespace cacheclip {
namespace {

constexpr size_t kMaxRootBytes = 64;
constexpr int kMaxPutAttempts = 3;  // of a document whose staged revision was given up meanwhile

// Hash tags and patterns are made of it.
absl::Status ValidateRoot(std::string_view root) {
  const bool spelled = std::all_of(root.begin(), root.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == ':' || c == '.' || c == '_' || c == '-';
  });
  if (root.empty() || root.size() > kMaxRootBytes || !spelled)
    return InvalidField("root", absl::StrCat("must be 1 to ", kMaxRootBytes, " letters, digits or : . _ -"));
  return absl::OkStatus();
}

std::vector<std::string> Listed(const std::set<std::string>& released) {
  return {released.begin(), released.end()};
}

}  // namespace

RedisCatalog::RedisCatalog(RedisCatalogOptions options, bool read_only)
    : options_(std::move(options)),
      read_only_(read_only),
      server_(options_.client.get(), options_.root, options_.timeout, options_.clock) {}

absl::StatusOr<std::unique_ptr<RedisCatalog>> RedisCatalog::Open(RedisCatalogOptions options) {
  std::unique_ptr<RedisCatalog> catalog(new RedisCatalog(std::move(options), /*read_only=*/false));
  CACHECLIP_RETURN_IF_ERROR(catalog->ReadyToRead());
  return catalog;
}

std::unique_ptr<RedisCatalog> RedisCatalog::OpenReadOnly(RedisCatalogOptions options) {
  return std::unique_ptr<RedisCatalog>(new RedisCatalog(std::move(options), /*read_only=*/true));
}

absl::Status RedisCatalog::ReadyToRead() {
  if (is_checked_) return absl::OkStatus();
  CACHECLIP_RETURN_IF_ERROR(ValidateRoot(options_.root));
  CACHECLIP_RETURN_IF_ERROR(CheckCatalogServer(server_, read_only_));
  is_checked_ = true;
  return absl::OkStatus();
}

absl::Status RedisCatalog::ReadyToWrite() {
  if (read_only_)
    return absl::FailedPreconditionError(
        absl::StrCat("the catalogue at ", options_.client->address(),
                     " was opened read-only: only the ingestion service writes to the catalogue"));
  return ReadyToRead();
}

absl::StatusOr<Namespace> RedisCatalog::PutNamespace(std::string_view name) {
  CACHECLIP_RETURN_IF_ERROR(ReadyToWrite());
  absl::StatusOr<Namespace> existing = FindNamespace(server_, name);
  if (!absl::IsNotFound(existing.status())) return existing;
  return InsertNamespace(server_, name);
}

absl::StatusOr<Namespace> RedisCatalog::GetNamespace(std::string_view name) {
  CACHECLIP_RETURN_IF_ERROR(ReadyToRead());
  return FindNamespace(server_, name);
}

absl::StatusOr<std::vector<Namespace>> RedisCatalog::ListNamespaces() {
  CACHECLIP_RETURN_IF_ERROR(ReadyToRead());
  return ReadNamespaces(server_);
}

absl::Status RedisCatalog::PutPrefix(const Prefix& prefix) {
  CACHECLIP_RETURN_IF_ERROR(ValidatePrefix(prefix));
  CACHECLIP_RETURN_IF_ERROR(ReadyToWrite());
  return ReplacePrefix(server_, prefix);
}

absl::StatusOr<Prefix> RedisCatalog::GetPrefix(std::string_view namespace_name, std::string_view prefix_id) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(namespace_name));
  CACHECLIP_RETURN_IF_ERROR(ReadyToRead());
  return FindPrefix(server_, namespace_name, prefix_id);
}

absl::StatusOr<std::vector<Prefix>> RedisCatalog::ListPrefixes(std::string_view namespace_name) {
  CACHECLIP_RETURN_IF_ERROR(ReadyToRead());
  CACHECLIP_RETURN_IF_ERROR(server_.CheckNamespace(namespace_name));
  return ReadPrefixes(server_, namespace_name);
}

absl::Status RedisCatalog::PutOnce(const Document& document, std::span<const ChunkRecord> chunks,
                                   std::set<std::string>& released) {
  const std::string revision = RandomRevision();
  const absl::Status staged = StageDocument(server_, document, chunks, revision);
  if (!staged.ok()) {
    // What is staged is seen by nobody. If it cannot be taken back now, a sweep will.
    if (!absl::IsUnavailable(staged) && !absl::IsNotFound(staged))
      AbandonRevision(server_, document.namespace_name, revision, absl::InfiniteFuture(), released)
          .status()
          .IgnoreError();
    return staged;
  }
  CACHECLIP_ASSIGN_OR_RETURN(const std::string replaced, CommitDocument(server_, document, revision));
  if (!replaced.empty()) CleanUp(document.namespace_name, replaced, released);
  return absl::OkStatus();
}

void RedisCatalog::CleanUp(std::string_view namespace_name, const std::string& revision,
                           std::set<std::string>& released) {
  const absl::Status done = CleanUpRevision(server_, namespace_name, revision, released);
  if (done.ok()) return;
  CACHECLIP_LOG(Warning) << "the next sweep cleans up after a document of namespace " << namespace_name
                         << ": " << done;
}

absl::StatusOr<std::vector<std::string>> RedisCatalog::PutDocument(const Document& document,
                                                                   std::span<const ChunkRecord> chunks) {
  CACHECLIP_RETURN_IF_ERROR(ValidateDocument(document, chunks));
  CACHECLIP_RETURN_IF_ERROR(ReadyToWrite());
  std::set<std::string> released;
  absl::Status put;
  for (int attempt = 0; attempt < kMaxPutAttempts; ++attempt) {
    put = PutOnce(document, chunks, released);
    if (put.ok()) return Listed(released);
    if (!absl::IsAborted(put)) return put;
  }
  return absl::UnavailableError(std::string(put.message()));
}

absl::StatusOr<Document> RedisCatalog::GetDocument(std::string_view namespace_name,
                                                   std::string_view document_id) {
  CACHECLIP_RETURN_IF_ERROR(ValidateDocumentId(document_id));
  CACHECLIP_RETURN_IF_ERROR(ReadyToRead());
  CACHECLIP_RETURN_IF_ERROR(server_.CheckNamespace(namespace_name));
  CACHECLIP_ASSIGN_OR_RETURN(auto document, FindDocument(server_, namespace_name, document_id));
  if (!document) return NoSuchRecord("document_id", document_id);
  return *std::move(document);
}

absl::StatusOr<DocumentPage> RedisCatalog::ListDocuments(std::string_view namespace_name, int page_size,
                                                         std::string_view page_token) {
  CACHECLIP_ASSIGN_OR_RETURN(const int limit, EffectivePageSize(page_size));
  CACHECLIP_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(page_token));
  CACHECLIP_RETURN_IF_ERROR(ReadyToRead());
  CACHECLIP_RETURN_IF_ERROR(server_.CheckNamespace(namespace_name));
  DocumentPage page;
  CACHECLIP_ASSIGN_OR_RETURN(page.documents, ScanDocuments(server_, namespace_name, after, limit + 1));
  if (static_cast<int>(page.documents.size()) > limit) {
    page.documents.pop_back();
    page.next_page_token = EncodePageToken(page.documents.back().document_id);
  }
  return page;
}

absl::StatusOr<std::vector<std::string>> RedisCatalog::DeleteDocument(std::string_view namespace_name,
                                                                      std::string_view document_id) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(namespace_name));
  CACHECLIP_RETURN_IF_ERROR(ValidateDocumentId(document_id));
  CACHECLIP_RETURN_IF_ERROR(ReadyToWrite());
  CACHECLIP_ASSIGN_OR_RETURN(const auto revision,
                             DropDocument(server_, namespace_name, document_id, kIfLiving));
  if (!revision) return NoSuchRecord("document_id", document_id);
  std::set<std::string> released;
  CleanUp(namespace_name, *revision, released);
  return Listed(released);
}

absl::StatusOr<std::vector<std::optional<ChunkRecord>>> RedisCatalog::ResolveChunks(
    std::string_view namespace_name, std::span<const std::string> chunk_ids) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(namespace_name));
  CACHECLIP_RETURN_IF_ERROR(ValidateLookup(chunk_ids));
  CACHECLIP_RETURN_IF_ERROR(ReadyToRead());
  return FindChunks(server_, namespace_name, chunk_ids);
}

absl::Status RedisCatalog::PinChunks(std::string_view namespace_name, std::span<const std::string> chunk_ids,
                                     std::string_view owner, absl::Time expire_time) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(namespace_name));
  CACHECLIP_RETURN_IF_ERROR(ValidateLookup(chunk_ids));
  CACHECLIP_RETURN_IF_ERROR(ValidatePinOwner(owner));
  CACHECLIP_RETURN_IF_ERROR(ReadyToWrite());
  return InsertPins(server_, namespace_name, chunk_ids, owner, expire_time);
}

absl::StatusOr<int64_t> RedisCatalog::UnpinChunks(std::string_view namespace_name,
                                                  std::span<const std::string> chunk_ids,
                                                  std::string_view owner) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(namespace_name));
  CACHECLIP_RETURN_IF_ERROR(ValidateLookup(chunk_ids));
  CACHECLIP_RETURN_IF_ERROR(ValidatePinOwner(owner));
  CACHECLIP_RETURN_IF_ERROR(ReadyToWrite());
  return RemovePins(server_, namespace_name, chunk_ids, owner);
}

absl::StatusOr<PinPage> RedisCatalog::ListPins(std::string_view namespace_name, int page_size,
                                               std::string_view page_token) {
  CACHECLIP_ASSIGN_OR_RETURN(const int limit, EffectivePageSize(page_size));
  CACHECLIP_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(page_token));
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(namespace_name));
  CACHECLIP_RETURN_IF_ERROR(ReadyToRead());
  PinPage page;
  CACHECLIP_ASSIGN_OR_RETURN(page.pins, ScanPins(server_, namespace_name, after, limit + 1));
  if (static_cast<int>(page.pins.size()) > limit) {
    page.pins.resize(limit);
    page.next_page_token = EncodePageToken(page.pins.back().chunk_id + page.pins.back().owner);
  }
  return page;
}

absl::StatusOr<Removal> RedisCatalog::SweepExpired() {
  CACHECLIP_RETURN_IF_ERROR(ReadyToWrite());
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<Namespace> spaces, ReadNamespaces(server_));
  const absl::Time staged_before = server_.Now() - options_.staged_timeout;
  Removal removal;
  std::set<std::string> released;
  for (const Namespace& space : spaces) {
    CACHECLIP_RETURN_IF_ERROR(HealNamespace(server_, space));
    CACHECLIP_ASSIGN_OR_RETURN(const int64_t num_documents,
                               SweepNamespace(server_, space.name, staged_before, released));
    removal.num_documents += num_documents;
  }
  removal.released_chunk_ids = Listed(released);
  return removal;
}

absl::StatusOr<CatalogCheck> RedisCatalog::Verify() {
  CACHECLIP_RETURN_IF_ERROR(ReadyToRead());
  return CheckCatalog(server_);
}

absl::StatusOr<Removal> RedisCatalog::Repair() {
  CACHECLIP_RETURN_IF_ERROR(ReadyToWrite());
  CACHECLIP_RETURN_IF_ERROR(RepairHolders(server_));
  return SweepExpired();
}

absl::StatusOr<Removal> RedisCatalog::TrimDocuments(const TrimFilter& filter) {
  CACHECLIP_RETURN_IF_ERROR(ValidateTrimFilter(filter));
  CACHECLIP_RETURN_IF_ERROR(ReadyToWrite());
  std::vector<Namespace> spaces = {{.name = filter.namespace_name}};
  if (filter.namespace_name.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(spaces, ReadNamespaces(server_));
  } else {
    CACHECLIP_RETURN_IF_ERROR(server_.CheckNamespace(filter.namespace_name));
  }
  Removal removal;
  std::set<std::string> released;
  for (const Namespace& space : spaces) {
    CACHECLIP_ASSIGN_OR_RETURN(const int64_t num_documents,
                               TrimNamespace(server_, space.name, filter, released));
    removal.num_documents += num_documents;
  }
  removal.released_chunk_ids = Listed(released);
  return removal;
}

}  // namespace cacheclip
