#include "common/kv/chunk_key.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

void AddDigest(Sha256& sha, const Digest& digest) {
  sha.AddField({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

// Token by token in a fixed width, so that the key does not depend on the machine's byte order.
void AddIds(Sha256& sha, std::span<const int32_t> ids) {
  std::string bytes;
  bytes.reserve(ids.size() * 4);
  for (const int32_t id : ids)
    for (int shift = 0; shift < 32; shift += 8)
      bytes.push_back(static_cast<char>(static_cast<uint32_t>(id) >> shift));
  sha.AddField(bytes);
}

}  // namespace

std::string ChunkKey::ToHex() const { return cacheclip::ToHex(digest); }

absl::StatusOr<ChunkKey> ChunkKey::FromHex(std::string_view hex) {
  ChunkKey key;
  if (!cacheclip::FromHex(hex, key.digest))
    return InvalidField("chunk_key",
                        absl::StrCat("must be 64 hexadecimal digits, got ", hex.size(), " bytes"));
  return key;
}

ChunkKey ComputeChunkKey(const ChunkIdentity& identity) {
  Sha256 sha;
  sha.AddField("cacheclip chunk key");  // separates this use of the digest from every other
  sha.AddInteger(identity.format_version);
  AddDigest(sha, identity.model_fingerprint);
  AddDigest(sha, identity.tokenizer_fingerprint);
  sha.AddField(identity.rope_parameters);
  sha.AddInteger(identity.shape.num_layers);
  sha.AddInteger(identity.shape.num_kv_heads);
  sha.AddInteger(identity.shape.head_dim);
  sha.AddInteger(static_cast<uint64_t>(identity.shape.dtype));
  sha.AddInteger(static_cast<uint64_t>(identity.layout));
  AddIds(sha, identity.prefix_ids);
  AddIds(sha, identity.chunk_ids);
  sha.AddField(identity.namespace_salt);
  return ChunkKey{sha.Finish()};
}

}  // namespace cacheclip
