#include "common/store/object/object_names.h"

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr std::string_view kSuffix = ".ccv";
constexpr size_t kHexBytes = 2 * sizeof(Digest);
constexpr size_t kHexAt = kChunkObjectsPrefix.size() + 3;  // behind "chunks/ab/"

}  // namespace

std::string ChunkObjectName(const ChunkKey& key) {
  const std::string hex = key.ToHex();
  return absl::StrCat(AbslView(kChunkObjectsPrefix), hex.substr(0, 2), "/", hex, AbslView(kSuffix));
}

std::optional<ChunkKey> ParseChunkObjectName(std::string_view name) {
  if (name.size() != kHexAt + kHexBytes + kSuffix.size()) return std::nullopt;
  const auto key = ChunkKey::FromHex(name.substr(kHexAt, kHexBytes));
  if (!key.ok() || ChunkObjectName(*key) != name) return std::nullopt;
  return *key;
}

std::string PinObjectsPrefix(const ChunkKey& key) { return absl::StrCat("pins/", key.ToHex(), "/"); }

std::string PinObjectName(const ChunkKey& key, std::string_view owner) {
  Sha256 digest;
  digest.AddBytes(owner.data(), owner.size());
  return PinObjectsPrefix(key) + ToHex(digest.Finish());
}

}  // namespace cacheclip
