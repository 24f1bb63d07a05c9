#include "common/model/kv_cache.h"

#include "absl/strings/str_cat.h"
#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/isa.h"
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
  if (UsesPacked(model)) return MakePackedKvCache(model.config(), model.num_layers(), capacity);
  try {  // libtorch reports memory that cannot be had by an exception
    return MakePlainKvCache(model.config(), model.num_layers(), capacity, tensors.dtype, tensors.device);
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a KV cache of ", capacity, " tokens: ", error.what()));
  }
}

int64_t KvCache::Bytes(const LanguageModel& model, int32_t capacity) {
  const ModelTensors& tensors = model.tensors();
  const int64_t element = tensors.device.is_cpu() && !UsesPacked(model) ? 4 : at::elementSize(tensors.dtype);
  const ModelConfig& config = model.config();
  constexpr int64_t kBlock = avx512::kSlotAlignment;
  const int64_t slots = UsesPacked(model) ? (capacity + kBlock - 1) / kBlock * kBlock : capacity;
  return 2 * element * model.num_layers() * config.num_kv_heads * config.head_dim * slots;
}

}  // namespace cacheclip
