#include "common/catalog/in_memory_catalog.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/catalog/validate.h"

namespace cacheclip {
namespace {

constexpr size_t kChunkIdDigits = 64;

// Adds the records that `record_of` makes of the entries from `it` on, nullopt being skipped, until there are
// `limit`. Returns the token of the next page: `key_of` of the last record, or "" if no record follows.
template <typename Iterator, typename Record, typename RecordOf, typename KeyOf>
std::string FillPage(Iterator it, Iterator end, int limit, RecordOf record_of, KeyOf key_of,
                     std::vector<Record>& records) {
  for (; it != end; ++it) {
    std::optional<Record> record = record_of(*it);
    if (!record) continue;
    if (static_cast<int>(records.size()) == limit) return EncodePageToken(key_of(records.back()));
    records.push_back(*std::move(record));
  }
  return "";
}

}  // namespace

absl::StatusOr<InMemoryCatalog::Space*> InMemoryCatalog::FindSpace(std::string_view namespace_name) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(namespace_name));
  const auto found = spaces_.find(namespace_name);
  if (found == spaces_.end()) return NoSuchRecord("namespace", namespace_name);
  return &found->second;
}

bool InMemoryCatalog::Resolves(const Space& space, const Chunk& chunk) const {
  for (const std::string& document_id : chunk.references)
    if (Lives(space.documents.at(document_id))) return true;
  return false;
}

absl::StatusOr<Namespace> InMemoryCatalog::PutNamespace(std::string_view name) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(name));
  std::lock_guard lock(mutex_);
  if (const auto found = spaces_.find(name); found != spaces_.end()) return found->second.info;
  if (spaces_.size() >= kMaxNamespaces)
    return FieldError(absl::StatusCode::kResourceExhausted, "namespace",
                      absl::StrCat("at most ", kMaxNamespaces, " namespaces are allowed"));
  Space& space = spaces_[std::string(name)];
  space.info = {std::string(name), clock_->Now()};
  return space.info;
}

absl::StatusOr<Namespace> InMemoryCatalog::GetNamespace(std::string_view name) {
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(name));
  return space->info;
}

absl::StatusOr<std::vector<Namespace>> InMemoryCatalog::ListNamespaces() {
  std::lock_guard lock(mutex_);
  std::vector<Namespace> namespaces;
  for (const auto& [name, space] : spaces_) namespaces.push_back(space.info);
  return namespaces;
}

absl::Status InMemoryCatalog::PutPrefix(const Prefix& prefix) {
  CACHECLIP_RETURN_IF_ERROR(ValidatePrefix(prefix));
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(prefix.namespace_name));
  if (!space->prefixes.contains(prefix.prefix_id) && space->prefixes.size() >= kMaxPrefixesPerNamespace)
    return FieldError(
        absl::StatusCode::kResourceExhausted, "prefix_id",
        absl::StrCat("at most ", kMaxPrefixesPerNamespace, " prefixes per namespace are allowed"));
  if (prefix.is_default)
    for (auto& [id, other] : space->prefixes) other.is_default = false;
  space->prefixes[prefix.prefix_id] = prefix;
  return absl::OkStatus();
}

absl::StatusOr<Prefix> InMemoryCatalog::GetPrefix(std::string_view namespace_name,
                                                  std::string_view prefix_id) {
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(namespace_name));
  for (const auto& [id, prefix] : space->prefixes)
    if (prefix_id.empty() ? prefix.is_default : id == prefix_id) return prefix;
  return NoSuchRecord("prefix_id", prefix_id.empty() ? "(default)" : prefix_id);
}

absl::StatusOr<std::vector<Prefix>> InMemoryCatalog::ListPrefixes(std::string_view namespace_name) {
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(namespace_name));
  std::vector<Prefix> prefixes;
  for (const auto& [id, prefix] : space->prefixes) prefixes.push_back(prefix);
  return prefixes;
}

void InMemoryCatalog::Unlink(Space& space, const std::string& document_id, std::set<std::string>& orphans) {
  for (const ChunkReference& reference : space.documents.at(document_id).chunks) {
    Chunk& chunk = space.chunks.at(reference.chunk_id);
    chunk.references.erase(document_id);
    if (chunk.references.empty()) orphans.insert(reference.chunk_id);
  }
  space.documents.erase(document_id);
}

std::vector<std::string> InMemoryCatalog::Collect(Space& space, const std::set<std::string>& orphans) {
  std::vector<std::string> released;
  for (const std::string& chunk_id : orphans) {
    if (!space.chunks.at(chunk_id).references.empty()) continue;  // the new version uses it again
    space.chunks.erase(chunk_id);
    std::erase_if(space.pins, [&](const auto& pin) { return pin.first.first == chunk_id; });
    bool elsewhere = false;
    for (const auto& [name, other] : spaces_) elsewhere |= other.chunks.contains(chunk_id);
    if (!elsewhere) released.push_back(chunk_id);
  }
  return released;
}

absl::StatusOr<std::vector<std::string>> InMemoryCatalog::PutDocument(const Document& document,
                                                                      std::span<const ChunkRecord> chunks) {
  CACHECLIP_RETURN_IF_ERROR(ValidateDocument(document, chunks));
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(document.namespace_name));
  if (!space->prefixes.contains(document.prefix_id)) return NoSuchRecord("prefix_id", document.prefix_id);
  Document stored = document;
  stored.created_time = stored.updated_time = clock_->Now();
  std::set<std::string> orphans;
  if (const auto old = space->documents.find(document.document_id); old != space->documents.end()) {
    if (Lives(old->second)) stored.created_time = old->second.created_time;
    Unlink(*space, document.document_id, orphans);
  }
  for (const ChunkRecord& chunk : chunks) {
    Chunk& entry = space->chunks[chunk.chunk_id];
    entry.record = chunk;
    entry.references.insert(document.document_id);
  }
  space->documents[document.document_id] = std::move(stored);
  return Collect(*space, orphans);
}

absl::StatusOr<Document> InMemoryCatalog::GetDocument(std::string_view namespace_name,
                                                      std::string_view document_id) {
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(namespace_name));
  CACHECLIP_RETURN_IF_ERROR(ValidateDocumentId(document_id));
  const auto found = space->documents.find(std::string(document_id));
  if (found == space->documents.end() || !Lives(found->second))
    return NoSuchRecord("document_id", document_id);
  return found->second;
}

absl::StatusOr<DocumentPage> InMemoryCatalog::ListDocuments(std::string_view namespace_name, int page_size,
                                                            std::string_view page_token) {
  CACHECLIP_ASSIGN_OR_RETURN(const int limit, EffectivePageSize(page_size));
  CACHECLIP_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(page_token));
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(namespace_name));
  DocumentPage page;
  page.next_page_token = FillPage(
      space->documents.upper_bound(after), space->documents.end(), limit,
      [&](const auto& entry) { return Lives(entry.second) ? std::optional(entry.second) : std::nullopt; },
      [](const Document& document) { return document.document_id; }, page.documents);
  return page;
}

absl::StatusOr<std::vector<std::string>> InMemoryCatalog::DeleteDocument(std::string_view namespace_name,
                                                                         std::string_view document_id) {
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(namespace_name));
  CACHECLIP_RETURN_IF_ERROR(ValidateDocumentId(document_id));
  const auto found = space->documents.find(std::string(document_id));
  if (found == space->documents.end() || !Lives(found->second))
    return NoSuchRecord("document_id", document_id);
  std::set<std::string> orphans;
  Unlink(*space, std::string(document_id), orphans);
  return Collect(*space, orphans);
}

absl::StatusOr<std::vector<std::optional<ChunkRecord>>> InMemoryCatalog::ResolveChunks(
    std::string_view namespace_name, std::span<const std::string> chunk_ids) {
  CACHECLIP_RETURN_IF_ERROR(ValidateLookup(chunk_ids));
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(namespace_name));
  std::vector<std::optional<ChunkRecord>> records;
  for (const std::string& chunk_id : chunk_ids) {
    const auto found = space->chunks.find(chunk_id);
    const bool resolves = found != space->chunks.end() && Resolves(*space, found->second);
    records.push_back(resolves ? std::optional(found->second.record) : std::nullopt);
  }
  return records;
}

absl::Status InMemoryCatalog::PinChunks(std::string_view namespace_name,
                                        std::span<const std::string> chunk_ids, std::string_view owner,
                                        absl::Time expire_time) {
  CACHECLIP_RETURN_IF_ERROR(ValidateLookup(chunk_ids));
  CACHECLIP_RETURN_IF_ERROR(ValidatePinOwner(owner));
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(namespace_name));
  for (const std::string& chunk_id : chunk_ids) {
    const auto found = space->chunks.find(chunk_id);
    if (found == space->chunks.end() || !Resolves(*space, found->second))
      return NoSuchRecord("chunk_ids", chunk_id);
  }
  for (const std::string& chunk_id : chunk_ids) space->pins[{chunk_id, std::string(owner)}] = expire_time;
  return absl::OkStatus();
}

absl::StatusOr<int64_t> InMemoryCatalog::UnpinChunks(std::string_view namespace_name,
                                                     std::span<const std::string> chunk_ids,
                                                     std::string_view owner) {
  CACHECLIP_RETURN_IF_ERROR(ValidateLookup(chunk_ids));
  CACHECLIP_RETURN_IF_ERROR(ValidatePinOwner(owner));
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(namespace_name));
  int64_t num_removed = 0;
  for (const std::string& chunk_id : chunk_ids)
    num_removed += space->pins.erase({chunk_id, std::string(owner)});
  return num_removed;
}

absl::StatusOr<PinPage> InMemoryCatalog::ListPins(std::string_view namespace_name, int page_size,
                                                  std::string_view page_token) {
  CACHECLIP_ASSIGN_OR_RETURN(const int limit, EffectivePageSize(page_size));
  CACHECLIP_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(page_token));
  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(Space * space, FindSpace(namespace_name));
  // Chunk ids have a fixed length: the order of the map is that of chunk id + owner.
  const std::pair<std::string, std::string> last(
      after.substr(0, kChunkIdDigits), after.size() > kChunkIdDigits ? after.substr(kChunkIdDigits) : "");
  PinPage page;
  page.next_page_token = FillPage(
      space->pins.upper_bound(last), space->pins.end(), limit,
      [&](const auto& entry) {
        const auto& [key, expire_time] = entry;
        return expire_time > clock_->Now() ? std::optional(Pin{key.first, key.second, expire_time})
                                           : std::nullopt;
      },
      [](const Pin& pin) { return pin.chunk_id + pin.owner; }, page.pins);
  return page;
}

template <typename Condition>
Removal InMemoryCatalog::RemoveDocuments(Condition condition) {
  Removal removal;
  std::set<std::string> released;
  for (auto& [name, space] : spaces_) {
    std::vector<std::string> doomed;
    for (const auto& [document_id, document] : space.documents)
      if (condition(document)) doomed.push_back(document_id);
    std::set<std::string> orphans;
    for (const std::string& document_id : doomed) Unlink(space, document_id, orphans);
    removal.num_documents += doomed.size();
    for (std::string& chunk_id : Collect(space, orphans)) released.insert(std::move(chunk_id));
  }
  removal.released_chunk_ids.assign(released.begin(), released.end());
  return removal;
}

absl::StatusOr<Removal> InMemoryCatalog::SweepExpired() {
  std::lock_guard lock(mutex_);
  for (auto& [name, space] : spaces_)
    std::erase_if(space.pins, [&](const auto& pin) { return pin.second <= clock_->Now(); });
  return RemoveDocuments([&](const Document& document) { return !Lives(document); });
}

absl::StatusOr<Removal> InMemoryCatalog::TrimDocuments(const TrimFilter& filter) {
  CACHECLIP_RETURN_IF_ERROR(ValidateTrimFilter(filter));
  std::lock_guard lock(mutex_);
  if (!filter.namespace_name.empty()) CACHECLIP_RETURN_IF_ERROR(FindSpace(filter.namespace_name).status());
  return RemoveDocuments([&](const Document& document) {
    return (filter.namespace_name.empty() || document.namespace_name == filter.namespace_name) &&
           document.updated_time >= filter.updated_from && document.updated_time < filter.updated_until &&
           (filter.writer_version.empty() || document.writer_version == filter.writer_version);
  });
}

absl::StatusOr<CatalogCheck> InMemoryCatalog::Verify() {
  std::lock_guard lock(mutex_);
  CatalogCheck check{.num_namespaces = static_cast<int64_t>(spaces_.size())};
  for (const auto& [name, space] : spaces_) {
    check.num_documents += static_cast<int64_t>(space.documents.size());
    check.num_chunks += static_cast<int64_t>(space.chunks.size());
    for (const auto& [chunk_id, chunk] : space.chunks)
      if (chunk.references.empty()) check.AddProblem(absl::StrCat(name, " does not use chunk ", chunk_id));
    for (const auto& [document_id, document] : space.documents)
      for (const ChunkReference& reference : document.chunks)
        if (!space.chunks.at(reference.chunk_id).references.contains(document_id))
          check.AddProblem(absl::StrCat(document_id, " is not counted at chunk ", reference.chunk_id));
  }
  check.num_holds = check.num_chunks;
  return check;
}

absl::StatusOr<Removal> InMemoryCatalog::Repair() { return SweepExpired(); }

}  // namespace cacheclip
