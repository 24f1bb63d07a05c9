#include "common/model/value_offset.h"

#include <vector>

#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>

#include "common/base/logging.h"
#include "common/model/kv_cache.h"
#include "common/model/weights.h"

namespace cacheclip {

struct ValueOffset::Kept {
  std::vector<int32_t> slots;
  std::vector<at::Tensor> values;  // by layer: [slots, heads, dim], fp32
};

ValueOffset::ValueOffset(InferenceSession& session, std::span<const int32_t> slots, int num_layers)
    : session_(session), kept_(std::make_unique<Kept>()) {
  CACHECLIP_CHECK(!slots.empty()) << "a mean over nothing";
  const c10::InferenceMode inference;
  kept_->slots.assign(slots.begin(), slots.end());
  for (int layer = 0; layer < num_layers; ++layer)
    kept_->values.push_back(session.cache().Load(layer, slots).values);
}

ValueOffset::~ValueOffset() = default;

void ValueOffset::AddTo(std::span<const int32_t> slots, double share) {
  if (slots.empty()) return;
  const c10::InferenceMode inference;
  KvCache& cache = session_.cache();
  const at::ScalarType dtype = session_.model().tensors().dtype;
  for (size_t i = 0; i < kept_->values.size(); ++i) {
    const int layer = static_cast<int>(i);
    const at::Tensor fresh = cache.Load(layer, kept_->slots).values;
    const at::Tensor mean = (fresh - kept_->values[i]).mean(0, /*keepdim=*/true);
    const KvRows stale = cache.Load(layer, slots);
    cache.Store(layer, stale.keys.to(dtype), (stale.values + mean * share).to(dtype), slots);
  }
}

}  // namespace cacheclip
