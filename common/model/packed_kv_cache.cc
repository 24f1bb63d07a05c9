// The cache for CPUs with AVX-512 BF16: memory in the layout the attention kernel reads.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/isa.h"
#include "common/model/kv_cache.h"

namespace cacheclip {
namespace {

using avx512::Bf16;

const Bf16* Data(const at::Tensor& tensor) { return static_cast<const Bf16*>(tensor.const_data_ptr()); }

class PackedKvCache : public KvCache {
 public:
  PackedKvCache(const ModelConfig& config, int num_layers, int32_t capacity)
      : num_heads_(static_cast<int>(config.num_heads)),
        num_kv_heads_(static_cast<int>(config.num_kv_heads)),
        head_dim_(static_cast<int>(config.head_dim)),
        capacity_(WholeBlocks(capacity, avx512::kSlotAlignment)),
        plane_(static_cast<size_t>(num_kv_heads_) * capacity_ * head_dim_),
        elements_(at::zeros({num_layers, 2, static_cast<int64_t>(plane_)},
                            at::TensorOptions().dtype(at::kBFloat16))),
        slot_bias_(static_cast<size_t>(capacity_), 0.0f) {}

  int32_t capacity() const override { return capacity_; }

  void Store(int layer, const at::Tensor& keys, const at::Tensor& values,
             std::span<const int32_t> slots) override {
    const at::Tensor k = keys.to(at::kBFloat16), v = values.to(at::kBFloat16);  // views where already bf16
    avx512::StoreRows(Slice(layer), Data(k), Data(v), slots.data(), static_cast<int>(slots.size()));
  }

  KvRows Load(int layer, std::span<const int32_t> slots) const override {
    const std::array<int64_t, 3> angles{static_cast<int64_t>(slots.size()), 1, head_dim_ / 2};
    const at::Tensor rows = LoadUnrotated(layer, slots, {at::ones(angles), at::zeros(angles)})
                                .to(at::kFloat)
                                .view({angles[0], 2, num_kv_heads_, head_dim_});
    return {.keys = rows.select(1, 1).contiguous(), .values = rows.select(1, 0).contiguous()};
  }

  at::Tensor LoadUnrotated(int layer, std::span<const int32_t> slots,
                           const RotationTable& back) const override {
    at::Tensor rows = at::empty({static_cast<int64_t>(slots.size()), 2 * int64_t{num_kv_heads_} * head_dim_},
                                at::TensorOptions().dtype(at::kBFloat16));
    avx512::LoadUnrotated(Slice(layer), slots.data(), static_cast<int>(slots.size()),
                          back.cosine.const_data_ptr<float>(), back.sine.const_data_ptr<float>(),
                          static_cast<Bf16*>(rows.mutable_data_ptr()));
    return rows;
  }

  void AddUnrotated(int layer, std::span<const int32_t> slots, const RotationTable& forth,
                    const at::Tensor& values, const at::Tensor& keys) override {
    avx512::AddUnrotated(Slice(layer), slots.data(), static_cast<int>(slots.size()),
                         forth.cosine.const_data_ptr<float>(), forth.sine.const_data_ptr<float>(),
                         Data(values), Data(keys));
  }

  void Place(int layer, const at::Tensor& keys, const at::Tensor& values, int32_t first_slot,
             const RotationTable& rotation) override {
    const at::Tensor k = keys.to(at::kBFloat16), v = values.to(at::kBFloat16);
    avx512::RotateAndStore(Slice(layer), Data(k), Data(v), rotation.cosine.const_data_ptr<float>(),
                           rotation.sine.const_data_ptr<float>(), first_slot, static_cast<int>(keys.size(0)),
                           at::get_num_threads());
  }

  bool PlacesLayersSideBySide() const override { return true; }

  void PlaceInt8(int layer, const Int8Rows& rows, int32_t first_slot,
                 const RotationTable& rotation) override {
    avx512::DequantiseRotateAndStore(Slice(layer),
                                     {.keys = rows.keys.const_data_ptr<int8_t>(),
                                      .key_scales = rows.key_scales.const_data_ptr<float>(),
                                      .values = rows.values.const_data_ptr<int8_t>(),
                                      .value_scales = rows.value_scales.const_data_ptr<float>()},
                                     rotation.cosine.const_data_ptr<float>(),
                                     rotation.sine.const_data_ptr<float>(), first_slot,
                                     static_cast<int>(rows.keys.size(0)), at::get_num_threads());
  }

  void SetAttentionWeights(int32_t first_slot, std::span<const float> weights) override {
    const float unscaled = std::sqrt(static_cast<float>(head_dim_));
    std::ranges::transform(weights, slot_bias_.begin() + first_slot,
                           [unscaled](float weight) { return std::log(weight) * unscaled; });
  }

  at::Tensor Attend(int layer, const at::Tensor& queries, std::span<const int32_t> slots,
                    const LocalRows& local, bool int8_scores) const override {
    const int num_rows = static_cast<int>(queries.size(0));
    at::Tensor out = at::empty({num_rows, num_heads_ * head_dim_}, queries.options());
    const avx512::CacheSlice slice = Slice(layer);
    avx512::Attention({.queries = Data(queries),
                       .keys = slice.keys,
                       .values = slice.values,
                       .out = static_cast<Bf16*>(out.mutable_data_ptr()),
                       .limits = slots.data(),
                       .slot_bias = slot_bias_.data(),
                       .num_rows = num_rows,
                       .num_heads = num_heads_,
                       .num_kv_heads = num_kv_heads_,
                       .head_dim = head_dim_,
                       .capacity = capacity_,
                       .scale = Scale(),
                       .num_threads = at::get_num_threads(),
                       .local = local,
                       .int8_scores = int8_scores});
    return out;
  }

  at::Tensor Logits(int layer, const at::Tensor& queries, int32_t num_slots) const override {
    const at::Tensor rows = queries.to(at::kBFloat16).contiguous();
    at::Tensor logits =
        at::empty({num_heads_, rows.size(0), num_slots}, at::TensorOptions().dtype(at::kFloat));
    avx512::Logits({.queries = Data(rows),
                    .cache = Slice(layer),
                    .out = logits.mutable_data_ptr<float>(),
                    .num_rows = static_cast<int>(rows.size(0)),
                    .num_heads = num_heads_,
                    .num_slots = num_slots,
                    .scale = Scale(),
                    .num_threads = at::get_num_threads()});
    return logits;
  }

  at::Tensor Keys(int layer, int32_t begin, int32_t end) const override {
    return Unpack(layer, begin, end, avx512::LoadKeys);
  }
  at::Tensor Values(int layer, int32_t begin, int32_t end) const override {
    return Unpack(layer, begin, end, avx512::LoadValues);
  }

 private:
  float Scale() const { return static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim_))); }

  avx512::CacheSlice Slice(int layer) const {
    Bf16* keys = static_cast<Bf16*>(elements_.data_ptr()) + 2 * plane_ * static_cast<size_t>(layer);
    return {keys, keys + plane_, num_kv_heads_, head_dim_, capacity_};
  }

  template <typename Load>
  at::Tensor Unpack(int layer, int32_t begin, int32_t end, Load load) const {
    at::Tensor out =
        at::empty({num_kv_heads_, end - begin, head_dim_}, at::TensorOptions().dtype(at::kFloat));
    float* data = out.mutable_data_ptr<float>();
    for (int head = 0; head < num_kv_heads_; ++head)
      load(Slice(layer), head, begin, end, data + static_cast<size_t>(head) * (end - begin) * head_dim_);
    return out;
  }

  int num_heads_, num_kv_heads_, head_dim_;
  int32_t capacity_;
  size_t plane_;  // elements of one layer's keys
  // [layer, keys or values, plane]. Slots that nobody wrote are read with weight 0, so they must hold
  // numbers. The allocator keeps pages: zeroing those takes a tenth of the time that the system takes for new
  // ones.
  at::Tensor elements_;
  std::vector<float> slot_bias_;  // [capacity], in units of query-key products
};

}  // namespace

bool PackedKvCacheSupports(const ModelConfig& config) {
  return ActiveIsa() == Isa::kAvx512Bf16 && (config.head_dim == 64 || config.head_dim == 128);
}

std::unique_ptr<KvCache> MakePackedKvCache(const ModelConfig& config, int num_layers, int32_t capacity) {
  return std::make_unique<PackedKvCache>(config, num_layers, capacity);
}

}  // namespace cacheclip
