// The assembled KV cache of one session: rotated keys and values of every layer, indexed by slot. Three
// implementations: PlainKvCache keeps tensors and attends with libtorch on any device and dtype;
// PackedKvCache (x86 with AVX-512 BF16) and RoundedKvCache (with AVX2) keep the layouts of
// kernels/attention_avx512.h and kernels/rounded_cache.h and attend with those kernels. Create() chooses.
// Internal to common/model. Belongs to one session, one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "common/model/kernels/local_rows.h"
#include "common/model/language_model.h"
#include "common/model/rope.h"

namespace cacheclip {

// One layer of a chunk stored as int8; an element's value is itself times its scale.
struct Int8Rows {
  at::Tensor keys;          // [num_tokens, num_kv_heads, head_dim], contiguous, int8, before RoPE
  at::Tensor key_scales;    // [num_kv_heads, head_dim], contiguous, fp32
  at::Tensor values;        // [num_tokens, num_kv_heads, head_dim], contiguous, int8
  at::Tensor value_scales;  // [num_tokens, num_kv_heads], contiguous, fp32
};

// Rotated keys and values: [num_tokens, num_kv_heads, head_dim] each, contiguous, fp32.
struct KvRows {
  at::Tensor keys, values;
};

class KvCache {
 public:
  virtual ~KvCache() = default;

  // RESOURCE_EXHAUSTED when memory cannot be had.
  static absl::StatusOr<std::unique_ptr<KvCache>> Create(const LanguageModel& model, int32_t capacity);
  static int64_t Bytes(const LanguageModel& model, int32_t capacity);
  static bool IsRounded(const LanguageModel& model);  // whether attention multiplies integers

  virtual int32_t capacity() const = 0;

  // Writes rotated keys and values at ascending `slots`.
  virtual void Store(
      int layer,
      const at::Tensor& keys,    // [num_tokens, num_kv_heads, head_dim], contiguous, compute dtype or fp32
      const at::Tensor& values,  // the same
      std::span<const int32_t> slots) = 0;

  // What Store() wrote, or Place(), within the cache's own rounding: the rotated keys and the values at
  // ascending `slots`, copied out.
  virtual KvRows Load(int layer, std::span<const int32_t> slots) const = 0;

  // The same in one row a token, [num_tokens, 2 · num_kv_heads · head_dim]: the values, then the keys as they
  // were before RoPE (`back` rotates by the slots' negative angles). In fp32, or bf16 where the cache
  // multiplies bf16.
  virtual at::Tensor LoadUnrotated(int layer, std::span<const int32_t> slots,
                                   const RotationTable& back) const;

  // Adds to values and to keys before RoPE: [num_tokens, num_kv_heads * head_dim] each, contiguous, of the
  // dtype that LoadUnrotated() reads. Calls may run side by side if no two of them have slots in one run of
  // kSlotsTogether, the first a multiple of that.
  virtual void AddUnrotated(int layer, std::span<const int32_t> slots, const RotationTable& forth,
                            const at::Tensor& values, const at::Tensor& keys);
  static constexpr int32_t kSlotsTogether = 16;

  // Rotates unrotated keys and writes both at first_slot, first_slot + 1, …: assembly.
  virtual void Place(int layer,
                     const at::Tensor& keys,    // [num_tokens, num_kv_heads, head_dim], contiguous, as stored
                     const at::Tensor& values,  // the same
                     int32_t first_slot, const RotationTable& rotation) = 0;

  // Whether Place() of different layers may run on different threads, each then on one.
  virtual bool PlacesLayersSideBySide() const { return false; }

  // The same from int8 rows: dequantised in fp32, then rotated, with one rounding to the compute dtype.
  virtual void PlaceInt8(int layer, const Int8Rows& rows, int32_t first_slot,
                         const RotationTable& rotation) = 0;

  // From now on attention on slot first_slot + i is multiplied by weights[i] (above 0) before it is
  // normalised; 1, as in a new cache, leaves it alone.
  virtual void SetAttentionWeights(int32_t first_slot, std::span<const float> weights) = 0;

  // Row i attends to slots 0 … slots[i], in local heads to fewer. Queries and keys may be multiplied in int8
  // if `int8_scores`, by a cache that is faster so. Returns [num_rows, num_heads * head_dim] in the compute
  // dtype.
  virtual at::Tensor Attend(
      int layer,
      const at::Tensor& queries,  // [num_rows, num_heads, head_dim], contiguous, rotated
      std::span<const int32_t> slots, const LocalRows& local, bool int8_scores) const = 0;

  // Query-key products with slots 0 … num_slots - 1, all of them, scaled by 1/√head_dim: fp32
  // [num_heads, num_rows, num_slots].
  virtual at::Tensor Logits(int layer,
                            const at::Tensor& queries,  // [num_rows, num_heads, head_dim], rotated
                            int32_t num_slots) const;

  // Copies out rotated keys, values of slots [begin, end): [num_kv_heads, end - begin, head_dim], fp32.
  virtual at::Tensor Keys(int layer, int32_t begin, int32_t end) const = 0;
  virtual at::Tensor Values(int layer, int32_t begin, int32_t end) const = 0;
};

// `slots` rounded up to whole blocks: the capacity of a cache whose kernel needs them.
constexpr int32_t WholeBlocks(int32_t slots, int32_t block) { return (slots + block - 1) / block * block; }

// The implementations; used by Create() and by tests that compare them.
std::unique_ptr<KvCache> MakePlainKvCache(const ModelConfig& config, int num_layers, int32_t capacity,
                                          at::ScalarType dtype, at::Device device);
std::unique_ptr<KvCache> MakePackedKvCache(const ModelConfig& config, int num_layers, int32_t capacity);
bool PackedKvCacheSupports(const ModelConfig& config);  // this machine's ISA and this head dimension
std::unique_ptr<KvCache> MakeRoundedKvCache(const ModelConfig& config, int num_layers, int32_t capacity);
bool RoundedKvCacheSupports(const ModelConfig& config);  // the same

}  // namespace cacheclip
