// The cache for CPUs with AVX2 where sums need only be as exact as bf16's: int16 with a scale for each key
// and value, half of the memory and of the time that fp32 takes (kernels/rounded_cache.h; docs/adr/0022).
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "common/model/elementwise.h"
#include "common/model/kernels/attention_fp32.h"
#include "common/model/kernels/isa.h"
#include "common/model/kv_cache.h"

namespace cacheclip {
namespace {

class RoundedKvCache : public KvCache {
 public:
  RoundedKvCache(const ModelConfig& config, int num_layers, int32_t capacity)
      : num_heads_(config.num_heads),
        num_kv_heads_(config.num_kv_heads),
        head_dim_(config.head_dim),
        capacity_(WholeBlocks(capacity, fp32::kRoundedSlotAlignment)),
        elements_(at::empty({num_layers, 2, num_kv_heads_ * capacity_ * head_dim_},
                            at::TensorOptions().dtype(at::kShort))),
        scales_(at::zeros({num_layers, 2, num_kv_heads_ * capacity_}, at::TensorOptions().dtype(at::kFloat))),
        slot_bias_(static_cast<size_t>(capacity_), 0.0f) {}

  int32_t capacity() const override { return capacity_; }

  void Store(int layer, const at::Tensor& keys, const at::Tensor& values,
             std::span<const int32_t> slots) override {
    const at::Tensor k = keys.to(at::kFloat).contiguous(), v = values.to(at::kFloat).contiguous();
    fp32::StoreRounded(Layer(layer), k.const_data_ptr<float>(), v.const_data_ptr<float>(),
                       num_kv_heads_ * head_dim_, slots.data(), k.size(0), at::get_num_threads());
  }

  KvRows Load(int layer, std::span<const int32_t> slots) const override {
    const int64_t rows = static_cast<int64_t>(slots.size());
    KvRows loaded;
    for (at::Tensor* const tensor : {&loaded.keys, &loaded.values})
      *tensor = at::empty({rows, num_kv_heads_, head_dim_}, at::TensorOptions().dtype(at::kFloat));
    fp32::LoadRounded(Layer(layer), slots.data(), rows, loaded.keys.mutable_data_ptr<float>(),
                      loaded.values.mutable_data_ptr<float>(), num_kv_heads_ * head_dim_,
                      at::get_num_threads());
    return loaded;
  }

  void Place(int layer, const at::Tensor& keys, const at::Tensor& values, int32_t first_slot,
             const RotationTable& rotation) override {
    Store(layer, RotateHeads(keys.to(at::kFloat), rotation), values,
          SlotsFrom(first_slot, static_cast<int32_t>(keys.size(0))));
  }

  bool PlacesLayersSideBySide() const override { return true; }

  void PlaceInt8(int layer, const Int8Rows& rows, int32_t first_slot,
                 const RotationTable& rotation) override {
    Place(layer, rows.keys.to(at::kFloat) * rows.key_scales,
          rows.values.to(at::kFloat) * rows.value_scales.unsqueeze(2), first_slot, rotation);
  }

  void SetAttentionWeights(int32_t first_slot, std::span<const float> weights) override {
    std::ranges::transform(weights, slot_bias_.begin() + first_slot,
                           [](float weight) { return std::log(weight); });
  }

  at::Tensor Attend(int layer, const at::Tensor& queries, std::span<const int32_t> slots,
                    const LocalRows& local, bool /*int8_scores*/) const override {
    const at::Tensor wide = queries.to(at::kFloat).contiguous();
    at::Tensor out = at::empty({queries.size(0), num_heads_ * head_dim_}, wide.options());
    fp32::Attention({.queries = wide.const_data_ptr<float>(),
                     .out = out.mutable_data_ptr<float>(),
                     .limits = slots.data(),
                     .slot_bias = slot_bias_.data(),
                     .num_rows = static_cast<int>(queries.size(0)),
                     .num_heads = static_cast<int>(num_heads_),
                     .num_kv_heads = static_cast<int>(num_kv_heads_),
                     .head_dim = static_cast<int>(head_dim_),
                     .capacity = capacity_,
                     .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim_))),
                     .num_threads = at::get_num_threads(),
                     .local = local},
                    Layer(layer));
    return out;
  }

  at::Tensor Keys(int layer, int32_t begin, int32_t end) const override {
    return Load(layer, SlotsFrom(begin, end - begin)).keys.transpose(0, 1).contiguous();
  }
  at::Tensor Values(int layer, int32_t begin, int32_t end) const override {
    return Load(layer, SlotsFrom(begin, end - begin)).values.transpose(0, 1).contiguous();
  }

 private:
  static std::vector<int32_t> SlotsFrom(int32_t first, int32_t count) {
    std::vector<int32_t> slots(static_cast<size_t>(count));
    std::iota(slots.begin(), slots.end(), first);
    return slots;
  }

  fp32::RoundedCache Layer(int layer) const {
    const int64_t plane = elements_.size(2), scales = scales_.size(2);
    int16_t* const keys = static_cast<int16_t*>(elements_.data_ptr()) + 2 * plane * layer;
    float* const key_scales = static_cast<float*>(scales_.data_ptr()) + 2 * scales * layer;
    return {.num_kv_heads = static_cast<int>(num_kv_heads_),
            .head_dim = static_cast<int>(head_dim_),
            .capacity = capacity_,
            .keys = keys,
            .key_scales = key_scales,
            .values = keys + plane,
            .value_scales = key_scales + scales};
  }

  int64_t num_heads_, num_kv_heads_, head_dim_;
  int32_t capacity_;
  at::Tensor elements_;           // int16 [layers, keys and values, num_kv_heads · capacity · head_dim]
  at::Tensor scales_;             // fp32 [layers, keys and values, num_kv_heads · capacity]
  std::vector<float> slot_bias_;  // [capacity], added to scaled scores
};

}  // namespace

bool RoundedKvCacheSupports(const ModelConfig& config) {
  return ActiveIsa() >= Isa::kAvx2 && config.head_dim % fp32::kRoundedHeadDimMultiple == 0 &&
         config.head_dim <= fp32::kMaxRoundedHeadDim;
}

std::unique_ptr<KvCache> MakeRoundedKvCache(const ModelConfig& config, int num_layers, int32_t capacity) {
  return std::make_unique<RoundedKvCache>(config, num_layers, capacity);
}

}  // namespace cacheclip
