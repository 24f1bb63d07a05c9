// What the KV cache of a token run looks like: layers, kv heads, head dimension and element type, and how
// many bytes that makes. Every chunk carries one; num_layers may be smaller than the model's (a truncated
// auxiliary model). int8 elements come with fp32 scales (common/kv/int8_quantiser.h): of the keys one per
// channel, of the values one per token and kv head. Values only; thread-safe. ValidateKvShape() bounds every
// field, so the byte arithmetic below cannot overflow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cacheclip {

// The numbers are part of the byte format and of the chunk key: never renumber.
enum class KvDtype : uint8_t {
  kBf16 = 1,
  kFp32 = 2,
  kInt8 = 3,
};

std::string_view KvDtypeName(KvDtype dtype);  // "bf16", "fp32", "int8"
int64_t KvDtypeBytes(KvDtype dtype);          // 2, 4, 1; 0 for a number that is no dtype
// INVALID_ARGUMENT naming "kv_dtype" for another name.
absl::StatusOr<KvDtype> ParseKvDtype(std::string_view name);

inline constexpr int32_t kMaxKvLayers = 512;
inline constexpr int32_t kMaxKvHeads = 512;
inline constexpr int32_t kMaxKvHeadDim = 1024;

struct KvShape {
  int32_t num_layers = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;
  KvDtype dtype = KvDtype::kBf16;

  // What one more token adds over all layers, unpadded; a chunk's key scales do not grow with it.
  int64_t BytesPerToken() const { return num_layers * (2 * KeysBytes(1) + ValueScalesBytes(1)); }
  // Keys, values and scales of `num_tokens` tokens in one layer, unpadded.
  int64_t LayerBytes(int64_t num_tokens) const {
    return 2 * KeysBytes(num_tokens) + KeyScalesBytes() + ValueScalesBytes(num_tokens);
  }
  // Keys alone of `num_tokens` tokens in one layer; the values take the same.
  int64_t KeysBytes(int64_t num_tokens) const {
    return num_tokens * num_kv_heads * head_dim * KvDtypeBytes(dtype);
  }
  // Scales of one layer: 0 unless int8.
  int64_t KeyScalesBytes() const { return HasScales() ? int64_t{4} * num_kv_heads * head_dim : 0; }
  int64_t ValueScalesBytes(int64_t num_tokens) const {
    return HasScales() ? 4 * num_tokens * num_kv_heads : 0;
  }
  bool HasScales() const { return dtype == KvDtype::kInt8; }

  std::string ToString() const;  // "30x3x64 bf16"
  friend bool operator==(const KvShape&, const KvShape&) = default;
};

// INVALID_ARGUMENT when a dimension is not in 1…its limit, or the dtype is none.
absl::Status ValidateKvShape(const KvShape& shape);

}  // namespace cacheclip
