// What the KV cache of a token run looks like: layers, kv heads, head dimension and element type, and how
// many bytes that makes. Every chunk carries one; num_layers may be smaller than the model's (a truncated
// auxiliary model). Values only; thread-safe. ValidateKvShape() bounds every field, so the byte arithmetic
// below cannot overflow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace cacheclip {

// The numbers are part of the byte format and of the chunk key: never renumber.
enum class KvDtype : uint8_t {
  kBf16 = 1,
  kFp32 = 2,
  kInt8 = 3,  // reserved (keys per channel, values per token); refused by name until it is written
};

std::string_view KvDtypeName(KvDtype dtype);  // "bf16", "fp32", "int8"
int64_t KvDtypeBytes(KvDtype dtype);          // 2, 4, 1; 0 for a number that is no dtype

inline constexpr int32_t kMaxKvLayers = 512;
inline constexpr int32_t kMaxKvHeads = 512;
inline constexpr int32_t kMaxKvHeadDim = 1024;

struct KvShape {
  int32_t num_layers = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;
  KvDtype dtype = KvDtype::kBf16;

  // Keys and values of one token over all layers, unpadded.
  int64_t BytesPerToken() const { return num_layers * LayerBytes(1); }
  // Keys and values of `num_tokens` tokens in one layer, unpadded.
  int64_t LayerBytes(int64_t num_tokens) const { return 2 * KeysBytes(num_tokens); }
  // Keys alone of `num_tokens` tokens in one layer; the values take the same.
  int64_t KeysBytes(int64_t num_tokens) const {
    return num_tokens * num_kv_heads * head_dim * KvDtypeBytes(dtype);
  }

  std::string ToString() const;  // "30x3x64 bf16"
  friend bool operator==(const KvShape&, const KvShape&) = default;
};

// INVALID_ARGUMENT when a field is not in 1…its limit; UNIMPLEMENTED for int8.
absl::Status ValidateKvShape(const KvShape& shape);

}  // namespace cacheclip
