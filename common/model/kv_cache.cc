#include "common/model/kv_cache.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>

#include "absl/strings/str_cat.h"
#include "common/model/elementwise.h"
#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/rounded_cache.h"
#include "common/model/weights.h"

namespace cacheclip {
namespace {

bool UsesPacked(const LanguageModel& model) {
  const ModelTensors& tensors = model.tensors();
  return tensors.device.is_cpu() && tensors.dtype == at::kBFloat16 && PackedKvCacheSupports(model.config());
}

}  // namespace

absl::StatusOr<std::unique_ptr<KvCache>> KvCache::Create(const LanguageModel& model, int32_t capacity) {
  const ModelTensors& tensors = model.tensors();
  try {  // libtorch reports memory that cannot be had by an exception
    if (UsesPacked(model)) return MakePackedKvCache(model.config(), model.num_layers(), capacity);
    if (IsRounded(model)) return MakeRoundedKvCache(model.config(), model.num_layers(), capacity);
    return MakePlainKvCache(model.config(), model.num_layers(), capacity, tensors.dtype, tensors.device);
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a KV cache of ", capacity, " tokens: ", error.what()));
  }
}

// Where weights are rounded, sums are asked to be no more exact than bf16's.
bool KvCache::IsRounded(const LanguageModel& model) {
  const ModelTensors& tensors = model.tensors();
  return tensors.device.is_cpu() && tensors.dtype == at::kFloat &&
         tensors.rounding != WeightRounding::kNone && RoundedKvCacheSupports(model.config());
}

at::Tensor KvCache::LoadUnrotated(int layer, std::span<const int32_t> slots,
                                  const RotationTable& back) const {
  const KvRows rows = Load(layer, slots);
  return at::cat({rows.values.flatten(1), RotateHeads(rows.keys, back).flatten(1)}, 1);
}

void KvCache::AddUnrotated(int layer, std::span<const int32_t> slots, const RotationTable& forth,
                           const at::Tensor& values, const at::Tensor& keys) {
  const KvRows rows = Load(layer, slots);
  rows.values.add_(values.view_as(rows.values));
  rows.keys.add_(RotateHeads(keys.view_as(rows.keys), forth));
  Store(layer, rows.keys, rows.values, slots);
}

at::Tensor KvCache::Logits(int layer, const at::Tensor& queries, int32_t num_slots) const {
  const int64_t rows = queries.size(0), heads = queries.size(1), dim = queries.size(2);
  const at::Tensor keys = Keys(layer, 0, num_slots);  // [kv_heads, num_slots, dim]
  const int64_t kv_heads = keys.size(0);
  const at::Tensor grouped = queries.to(at::kFloat)
                                 .view({rows, kv_heads, heads / kv_heads, dim})
                                 .permute({1, 2, 0, 3})
                                 .reshape({kv_heads, heads / kv_heads * rows, dim});
  const at::Tensor scaled = grouped * (1 / std::sqrt(static_cast<double>(dim)));
  return at::matmul(scaled, keys.transpose(1, 2)).view({heads, rows, num_slots});
}

int64_t KvCache::Bytes(const LanguageModel& model, int32_t capacity) {
  const ModelTensors& tensors = model.tensors();
  const ModelConfig& config = model.config();
  int64_t slots = capacity, head_bytes = config.head_dim;
  if (UsesPacked(model)) {
    slots = WholeBlocks(capacity, avx512::kSlotAlignment);
    head_bytes *= sizeof(avx512::Bf16);
  } else if (IsRounded(model)) {
    slots = WholeBlocks(capacity, fp32::kRoundedSlotAlignment);
    head_bytes = head_bytes * static_cast<int64_t>(sizeof(int16_t)) + static_cast<int64_t>(sizeof(float));
  } else {
    head_bytes *= tensors.device.is_cpu() ? 4 : at::elementSize(tensors.dtype);
  }
  return 2 * head_bytes * model.num_layers() * config.num_kv_heads * slots;
}

}  // namespace cacheclip
