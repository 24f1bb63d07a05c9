// The name of a chunk: SHA-256 over everything that changes its KV. Two chunks with the same key hold the
// same bytes for the same reader; whoever computes the key therefore never shares KV across models,
// tokenizers, prefixes or namespaces. ComputeChunkKey() frames each field with its length, so no two
// identities serialise alike. Values only; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/hash.h"
#include "common/kv/kv_shape.h"

namespace cacheclip {

struct ChunkKey {
  Digest digest{};

  std::string ToHex() const;  // 64 lower-case hexadecimal digits
  // INVALID_ARGUMENT unless `hex` is exactly 64 hexadecimal digits.
  static absl::StatusOr<ChunkKey> FromHex(std::string_view hex);

  friend auto operator<=>(const ChunkKey&, const ChunkKey&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const ChunkKey& key) {
    return H::combine(std::move(state), key.digest);
  }
};

// How the elements of one layer's keys and values lie in memory; part of the key and of the byte format.
enum class KvLayout : uint8_t {
  kTokenHeadDim = 1,  // [num_tokens, num_kv_heads, head_dim] row-major, keys after bias and norm, before RoPE
};

struct ChunkIdentity {
  uint32_t format_version = 0;  // kChunkFormatVersion
  Digest model_fingerprint{};   // configuration, weights' content, weight quantisation, compute dtype
  Digest tokenizer_fingerprint{};
  std::string rope_parameters;  // canonical text of the RoPE configuration
  KvShape shape;
  KvLayout layout = KvLayout::kTokenHeadDim;
  std::span<const int32_t> prefix_ids;  // empty for a prefix's own KV
  std::span<const int32_t> chunk_ids;
  std::string namespace_salt;  // from the server's configuration, never from a caller
};

ChunkKey ComputeChunkKey(const ChunkIdentity& identity);

}  // namespace cacheclip
