#include "common/model/value_offset.h"

#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <c10/core/InferenceMode.h>

#include "common/base/logging.h"
#include "common/model/index_tensor.h"
#include "common/model/kv_cache.h"
#include "common/model/weights.h"

namespace cacheclip {
namespace {

at::Tensor At(const at::Tensor& rows,
              std::span<const int32_t> slots) {  // rows: [heads, end, dim], from slot 0
  return at::index_select(rows, 1, IndexTensor(slots, rows.device()));
}

}  // namespace

struct ValueOffset::Kept {
  std::vector<int32_t> slots;
  std::vector<at::Tensor> values;  // by layer: [heads, slots, dim], fp32
};

ValueOffset::ValueOffset(InferenceSession& session, std::span<const int32_t> slots, int num_layers)
    : session_(session), kept_(std::make_unique<Kept>()) {
  CACHECLIP_CHECK(!slots.empty()) << "a mean over nothing";
  const c10::InferenceMode inference;
  kept_->slots.assign(slots.begin(), slots.end());
  for (int layer = 0; layer < num_layers; ++layer)
    kept_->values.push_back(At(session.cache().Values(layer, 0, slots.back() + 1), slots));
}

ValueOffset::~ValueOffset() = default;

void ValueOffset::AddTo(std::span<const int32_t> slots, double share) {
  if (slots.empty()) return;
  const c10::InferenceMode inference;
  KvCache& cache = session_.cache();
  const at::ScalarType dtype = session_.model().tensors().dtype;
  const auto rows = [&](const at::Tensor& by_head) { return by_head.transpose(0, 1).to(dtype).contiguous(); };
  for (size_t i = 0; i < kept_->values.size(); ++i) {
    const int layer = static_cast<int>(i);
    const at::Tensor fresh = At(cache.Values(layer, 0, kept_->slots.back() + 1), kept_->slots);
    const at::Tensor mean = (fresh - kept_->values[i]).mean(1, /*keepdim=*/true);
    const at::Tensor keys = At(cache.Keys(layer, 0, slots.back() + 1), slots);
    const at::Tensor values = At(cache.Values(layer, 0, slots.back() + 1), slots) + mean * share;
    cache.Store(layer, rows(keys), rows(values), slots);
  }
}

}  // namespace cacheclip
