#include "common/store/redis/chunk_keys.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr std::string_view kBegin = "cc:kv:{";
constexpr std::string_view kHeaderEnd = "}:h";
constexpr size_t kTailBytes = 8;
constexpr size_t kHexDigits = 64;

std::string Prefix(const ChunkKey& key) { return absl::StrCat(AbslView(kBegin), key.ToHex(), "}:"); }

std::string Version(std::span<const std::byte> header_bytes) {
  const std::string_view tail = RedisHeaderTail(header_bytes);
  return ToHex({reinterpret_cast<const uint8_t*>(tail.data()), tail.size()});
}

}  // namespace

std::string RedisHeaderKey(const ChunkKey& key) { return Prefix(key) + "h"; }
std::string RedisPinsKey(const ChunkKey& key) { return Prefix(key) + "p"; }

std::string RedisSliceKey(const ChunkKey& key, std::span<const std::byte> header_bytes, size_t index) {
  return absl::StrCat(Prefix(key), Version(header_bytes), ":", index);
}

std::vector<std::string> AllRedisKeys(const ChunkKey& key, std::span<const std::byte> header_bytes,
                                      size_t num_slices) {
  std::vector<std::string> keys = {RedisHeaderKey(key), RedisPinsKey(key)};
  const std::string slice = absl::StrCat(Prefix(key), Version(header_bytes), ":");
  for (size_t index = 0; index < num_slices; ++index) keys.push_back(absl::StrCat(slice, index));
  return keys;
}

std::string_view RedisHeaderTail(std::span<const std::byte> header_bytes) {
  const auto tail = header_bytes.last(std::min(kTailBytes, header_bytes.size()));
  return {reinterpret_cast<const char*>(tail.data()), tail.size()};
}

std::optional<ChunkKey> ChunkOfRedisHeaderKey(std::string_view name) {
  if (name.size() != kBegin.size() + kHexDigits + kHeaderEnd.size() || !name.starts_with(kBegin) ||
      !name.ends_with(kHeaderEnd))
    return std::nullopt;
  const auto key = ChunkKey::FromHex(name.substr(kBegin.size(), kHexDigits));
  return key.ok() ? std::optional(*key) : std::nullopt;
}

}  // namespace cacheclip
