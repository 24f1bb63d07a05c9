#include "services/cacheclip/stored/stored.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/runtime/paths.h"

namespace cacheclip {

absl::StatusOr<Stored> OpenStored(const Config& config, const std::string& tier, CatalogAccess access) {
  Config looking = config;
  looking.disk_bytes = std::numeric_limits<int64_t>::max() / 2;
  looking.namespace_quotas.clear();
  const std::string folder = ChunksFolder(DataFolder(config));
  const bool has_folder = std::filesystem::is_directory(folder);
  const bool wants_disk = tier.empty() || tier == TierName(Tier::kDisk);
  const bool has_remote = !config.redis_url.empty() || !config.object_url.empty();
  if (wants_disk && !has_folder && (!tier.empty() || !has_remote))
    return FieldError(absl::StatusCode::kNotFound, "data_dir",
                      absl::StrCat(DataFolder(config), " holds no chunk store"));
  Stored stored;
  CACHECLIP_ASSIGN_OR_RETURN(std::vector<StoreTier> tiers,
                             has_folder ? OpenTiers(looking) : OpenRemoteTiers(looking));
  for (StoreTier& found : tiers)
    if (found.tier != Tier::kMemory && (tier.empty() || tier == TierName(found.tier)))
      stored.tiers.push_back(std::move(found));
  if (stored.tiers.empty())
    return FieldError(absl::StatusCode::kNotFound, "tier",
                      absl::StrCat("no tier \"", tier, "\" is configured"));
  CACHECLIP_ASSIGN_OR_RETURN(stored.catalog, OpenCatalog(config, access));
  return stored;
}

bool HasCatalog(const Config& config) {
  return !config.catalog_url.empty() || std::filesystem::exists(CatalogFile(DataFolder(config)));
}

absl::Status ForEachDocument(Catalog& catalog, const std::string& namespace_name,
                             const DocumentVisitor& visit) {
  std::vector<Namespace> namespaces;
  if (namespace_name.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(namespaces, catalog.ListNamespaces());
  } else {
    CACHECLIP_ASSIGN_OR_RETURN(Namespace found, catalog.GetNamespace(namespace_name));
    namespaces.push_back(std::move(found));
  }
  for (const Namespace& found : namespaces) {
    std::string page_token;
    do {
      CACHECLIP_ASSIGN_OR_RETURN(const DocumentPage page,
                                 catalog.ListDocuments(found.name, kMaxPageSize, page_token));
      for (const Document& document : page.documents) CACHECLIP_RETURN_IF_ERROR(visit(document));
      page_token = page.next_page_token;
    } while (!page_token.empty());
  }
  return absl::OkStatus();
}

absl::StatusOr<References> ReadReferences(Catalog& catalog) {
  References references;
  const absl::Status status = ForEachDocument(catalog, "", [&](const Document& document) {
    if (references.namespaces.empty() || references.namespaces.back() != document.namespace_name)
      references.namespaces.push_back(document.namespace_name);
    const auto index = static_cast<int32_t>(references.namespaces.size()) - 1;
    for (const ChunkReference& chunk : document.chunks) {
      CACHECLIP_ASSIGN_OR_RETURN(const ChunkKey key, ChunkKey::FromHex(chunk.chunk_id));
      std::vector<int32_t>& users = references.users[key];
      if (users.empty() || users.back() != index) users.push_back(index);
    }
    return absl::OkStatus();
  });
  if (absl::IsUnavailable(status)) return References{.status = status};
  CACHECLIP_RETURN_IF_ERROR(status);
  return references;
}

absl::StatusOr<ChunkUsers> FindUsers(Catalog& catalog, const ChunkKey& key) {
  const std::string chunk_id = key.ToHex();
  ChunkUsers users;
  CACHECLIP_RETURN_IF_ERROR(ForEachDocument(catalog, "", [&](const Document& document) {
    if (std::ranges::find(document.chunks, chunk_id, &ChunkReference::chunk_id) == document.chunks.end())
      return absl::OkStatus();
    if (users.namespaces.empty() || users.namespaces.back() != document.namespace_name)
      users.namespaces.push_back(document.namespace_name);
    if (users.documents.size() < kMaxListedDocuments)
      users.documents.push_back(absl::StrCat(document.namespace_name, "/", document.document_id));
    ++users.num_documents;
    return absl::OkStatus();
  }));
  return users;
}

absl::StatusOr<TierSurvey> SurveyTier(const StoreTier& tier, const References& references) {
  TierSurvey survey{.tier = std::string(TierName(tier.tier))};
  survey.by_namespace.resize(references.namespaces.size());
  int64_t num_referenced = 0;
  const auto add = [](TierShare& share, int64_t bytes) {
    ++share.chunks;
    share.bytes += bytes;
  };
  CACHECLIP_RETURN_IF_ERROR(tier.store->ForEach([&](const ChunkKey& key, int64_t bytes) {
    add(survey.all, bytes);
    const auto users = references.users.find(key);
    if (users == references.users.end()) return add(survey.unreferenced, bytes);
    ++num_referenced;
    for (const int32_t index : users->second) add(survey.by_namespace[index], bytes);
  }));
  survey.missing = static_cast<int64_t>(references.users.size()) - num_referenced;
  return survey;
}

}  // namespace cacheclip
