#include "common/catalog/redis/catalog_keys.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr std::string_view kHoldersEnd = "}:holders";

}  // namespace

std::string RegistryKey(std::string_view root) { return absl::StrCat(AbslView(root), ":{*}:namespaces"); }

std::string LayoutKey(std::string_view root) { return absl::StrCat(AbslView(root), ":{*}:layout"); }

std::string HoldersKey(std::string_view root, std::string_view chunk_id) {
  return absl::StrCat(AbslView(root), ":{", AbslView(chunk_id), AbslView(kHoldersEnd));
}

std::string HoldersPattern(std::string_view root) { return HoldersKey(root, "*"); }

std::string ChunkIdOfHoldersKey(std::string_view root, std::string_view key) {
  const size_t begin = root.size() + 2;
  return std::string(key.substr(begin, key.size() - begin - kHoldersEnd.size()));
}

std::string ChunkBucket(std::string_view chunk_id) { return std::string(chunk_id.substr(0, 2)); }

std::string DocumentBucket(std::string_view document_id) {
  return BucketName(
      static_cast<int>(Checksum64(document_id.data(), document_id.size()) % kNumCatalogBuckets));
}

std::string BucketName(int index) { return absl::StrCat(absl::Hex(index, absl::kZeroPad2)); }

NamespaceKeys::NamespaceKeys(std::string_view root, std::string_view namespace_name)
    : base_(absl::StrCat(AbslView(root), ":{", AbslView(namespace_name), "}:")) {}

std::string NamespaceKeys::documents(std::string_view bucket) const {
  return absl::StrCat(base_, "documents:", AbslView(bucket));
}
std::string NamespaceKeys::uses(std::string_view revision) const {
  return absl::StrCat(base_, "uses:", AbslView(revision));
}
std::string NamespaceKeys::changes(std::string_view revision) const {
  return absl::StrCat(base_, "changes:", AbslView(revision));
}
std::string NamespaceKeys::chunks(std::string_view bucket) const {
  return absl::StrCat(base_, "chunks:", AbslView(bucket));
}
std::string NamespaceKeys::references(std::string_view bucket) const {
  return absl::StrCat(base_, "references:", AbslView(bucket));
}

void AddBucketKeys(const NamespaceKeys& keys, std::span<const std::string> chunk_ids, BucketKinds kinds,
                   std::vector<std::string>& out) {
  std::set<std::string> buckets;
  for (const std::string& chunk_id : chunk_ids) buckets.insert(ChunkBucket(chunk_id));
  for (const std::string& bucket : buckets) {
    out.push_back(keys.references(bucket));
    if (kinds == BucketKinds::kReferencesAndChunks) out.push_back(keys.chunks(bucket));
  }
}

}  // namespace cacheclip
