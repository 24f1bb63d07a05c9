// The portable cache: one tensor pair per layer, attention by libtorch in blocks of rows or, where the values
// are fp32 on a CPU with AVX2, by kernels/attention_fp32.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <ATen/Parallel.h>

#include "common/model/index_tensor.h"
#include "common/model/kernels/attention_fp32.h"
#include "common/model/kernels/elementwise_avx2.h"
#include "common/model/kernels/isa.h"
#include "common/model/kv_cache.h"

namespace cacheclip {
namespace {

constexpr int64_t kRowBlock = 128;    // rows whose scores are in memory at once
constexpr int64_t kRowsPerTask = 64;  // that a thread copies in or out at once

class PlainKvCache : public KvCache {
 public:
  PlainKvCache(const ModelConfig& config, int num_layers, int32_t capacity, at::ScalarType dtype,
               at::Device device)
      : num_heads_(config.num_heads),
        num_kv_heads_(config.num_kv_heads),
        head_dim_(config.head_dim),
        capacity_(capacity),
        compute_dtype_(dtype),
        uses_kernel_(device.is_cpu() && ActiveIsa() >= Isa::kAvx2 &&
                     config.head_dim % fp32::kHeadDimMultiple == 0) {
    // On a CPU libtorch's bf16 products are slow where this cache is needed at all, so it holds the (already
    // rounded) values as fp32 there.
    const auto options = at::TensorOptions().dtype(device.is_cpu() ? at::kFloat : dtype).device(device);
    slot_bias_ = at::zeros({capacity}, options.dtype(at::kFloat));
    for (int i = 0; i < num_layers; ++i) {
      keys_.push_back(at::zeros({num_kv_heads_, capacity, head_dim_}, options));
      values_.push_back(at::zeros({num_kv_heads_, capacity, head_dim_}, options));
    }
  }

  int32_t capacity() const override { return capacity_; }

  void Store(int layer, const at::Tensor& keys, const at::Tensor& values,
             std::span<const int32_t> slots) override {
    if (keys_[layer].is_cpu() && IsPlain(keys) && IsPlain(values)) {
      const auto slot_of = [&](int64_t row) { return slots[static_cast<size_t>(row)]; };
      CopyRows(keys, slot_of, keys_[layer]);
      CopyRows(values, slot_of, values_[layer]);
      return;
    }
    const bool neighbours = slots.back() - slots.front() + 1 == static_cast<int32_t>(slots.size());
    const at::Tensor k = keys.transpose(0, 1).to(keys_[layer].scalar_type());
    const at::Tensor v = values.transpose(0, 1).to(values_[layer].scalar_type());
    if (neighbours) {
      keys_[layer].slice(1, slots.front(), slots.back() + 1).copy_(k);
      values_[layer].slice(1, slots.front(), slots.back() + 1).copy_(v);
    } else {
      const at::Tensor index = IndexTensor(slots, keys_[layer].device());
      keys_[layer].index_copy_(1, index, k);
      values_[layer].index_copy_(1, index, v);
    }
  }

  KvRows Load(int layer, std::span<const int32_t> slots) const override {
    const auto load = [&](const at::Tensor& cache) {
      if (cache.is_cpu()) return GatherRows(cache, slots);
      const at::Tensor index = IndexTensor(slots, cache.device());
      return cache.index_select(1, index).to(at::kFloat).transpose(0, 1).contiguous();
    };
    return {load(keys_[layer]), load(values_[layer])};
  }

  void Place(int layer, const at::Tensor& keys, const at::Tensor& values, int32_t first_slot,
             const RotationTable& rotation) override {
    if (compute_dtype_ == at::kFloat && uses_kernel_ && IsPlain(keys) && IsPlain(values)) {
      fp32::RotateRows(
          keys.const_data_ptr<float>(), num_kv_heads_ * head_dim_, rotation.cosine.const_data_ptr<float>(),
          rotation.sine.const_data_ptr<float>(),
          {keys_[layer].mutable_data_ptr<float>() + first_slot * head_dim_, head_dim_, capacity_ * head_dim_},
          keys.size(0), static_cast<int>(num_kv_heads_), static_cast<int>(head_dim_), at::get_num_threads());
      CopyRows(
          values, [&](int64_t row) { return first_slot + row; }, values_[layer]);
      return;
    }
    const int64_t end = first_slot + keys.size(0);
    const at::Device device = keys_[layer].device();
    // Rounded to the compute dtype first: the same bits as a freshly computed key.
    const at::Tensor k = Rotate(keys.to(device).to(compute_dtype_), rotation);
    const at::Tensor v = values.to(device).to(compute_dtype_);
    keys_[layer].slice(1, first_slot, end).copy_(k.transpose(0, 1));
    values_[layer].slice(1, first_slot, end).copy_(v.transpose(0, 1));
  }

  // The elements travel to the device as int8.
  void PlaceInt8(int layer, const Int8Rows& rows, int32_t first_slot,
                 const RotationTable& rotation) override {
    const int64_t end = first_slot + rows.keys.size(0);
    const at::Device device = keys_[layer].device();
    const at::Tensor k = rows.keys.to(device).to(at::kFloat) * rows.key_scales.to(device);
    const at::Tensor v = rows.values.to(device).to(at::kFloat) * rows.value_scales.to(device).unsqueeze(2);
    keys_[layer].slice(1, first_slot, end).copy_(Rotate(k, rotation).to(compute_dtype_).transpose(0, 1));
    values_[layer].slice(1, first_slot, end).copy_(v.to(compute_dtype_).transpose(0, 1));
  }

  void SetAttentionWeights(int32_t first_slot, std::span<const float> weights) override {
    const at::Tensor factors = at::tensor(at::ArrayRef<float>(weights.data(), weights.size()));
    slot_bias_.slice(0, first_slot, first_slot + factors.size(0)).copy_(factors.log());
  }

  at::Tensor Attend(int layer, const at::Tensor& queries, std::span<const int32_t> slots,
                    const LocalRows& local, bool /*int8_scores*/) const override {
    if (uses_kernel_) return AttendByKernel(layer, queries, slots, local);
    const int64_t num_rows = queries.size(0), group = num_heads_ / num_kv_heads_;
    const double scale = 1 / std::sqrt(static_cast<double>(head_dim_));
    const at::ScalarType dtype = keys_[layer].scalar_type();
    const at::Tensor limits = IndexTensor(slots, keys_[layer].device());
    const at::Tensor first_slots =
        local.heads == nullptr ? at::Tensor()
                               : IndexTensor({local.first_slots, slots.size()}, keys_[layer].device());
    at::Tensor out = at::empty({num_rows, num_heads_ * head_dim_}, queries.options());
    for (int64_t begin = 0; begin < num_rows; begin += kRowBlock) {
      const int64_t end = std::min(num_rows, begin + kRowBlock), rows = end - begin;
      const int64_t num_slots = slots[static_cast<size_t>(end - 1)] + 1;
      const at::Tensor q = queries.slice(0, begin, end)
                               .view({rows, num_kv_heads_, group, head_dim_})
                               .permute({1, 0, 2, 3})
                               .reshape({num_kv_heads_, rows * group, head_dim_})
                               .to(dtype);
      const at::Tensor k = keys_[layer].slice(1, 0, num_slots), v = values_[layer].slice(1, 0, num_slots);
      at::Tensor scores = at::bmm(q, k.transpose(1, 2)).to(at::kFloat).mul_(scale);
      scores.add_(slot_bias_.slice(0, 0, num_slots));
      const auto of_lanes = [&](const at::Tensor& of_rows) {
        return of_rows.slice(0, begin, end).repeat_interleave(group).view({-1, 1});
      };
      const at::Tensor slot = at::arange(num_slots, limits.options()).view({1, -1});
      scores.masked_fill_((slot > of_lanes(limits)).unsqueeze(0), -std::numeric_limits<float>::infinity());
      for (int64_t head = 0; local.heads != nullptr && head < num_kv_heads_; ++head)
        if (local.heads[head] != 0)
          scores[head].masked_fill_((slot >= kLocalBlock) & (slot < of_lanes(first_slots)),
                                    -std::numeric_limits<float>::infinity());
      const at::Tensor context = at::bmm(at::softmax(scores, -1).to(dtype), v)
                                     .view({num_kv_heads_, rows, group, head_dim_})
                                     .permute({1, 0, 2, 3})
                                     .reshape({rows, num_heads_ * head_dim_});
      out.slice(0, begin, end).copy_(context);
    }
    return out;
  }

  at::Tensor Keys(int layer, int32_t begin, int32_t end) const override {
    return keys_[layer].slice(1, begin, end).to(at::kFloat).contiguous();
  }
  at::Tensor Values(int layer, int32_t begin, int32_t end) const override {
    return values_[layer].slice(1, begin, end).to(at::kFloat).contiguous();
  }

 private:
  // Rows that lie as this cache's own do, so that no tensor has to be described to libtorch: for decode's
  // single row that would take longer than the copy.
  static bool IsPlain(const at::Tensor& rows) {
    return rows.is_cpu() && rows.scalar_type() == at::kFloat && rows.is_contiguous();
  }

  // Plain rows [num_tokens, num_kv_heads, head_dim] into a layer's tensor.
  template <typename SlotOf>
  void CopyRows(const at::Tensor& rows, const SlotOf& slot_of, at::Tensor& cache) const {
    const float* const from = rows.const_data_ptr<float>();
    float* const to = cache.mutable_data_ptr<float>();
    at::parallel_for(0, rows.size(0), kRowsPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t head = 0; head < num_kv_heads_; ++head)
          std::copy_n(from + (row * num_kv_heads_ + head) * head_dim_, head_dim_,
                      to + (head * capacity_ + slot_of(row)) * head_dim_);
    });
  }

  // The other way; a cache on the CPU holds fp32.
  at::Tensor GatherRows(const at::Tensor& cache, std::span<const int32_t> slots) const {
    at::Tensor rows =
        at::empty({static_cast<int64_t>(slots.size()), num_kv_heads_, head_dim_}, cache.options());
    const float* const from = cache.const_data_ptr<float>();
    float* const to = rows.mutable_data_ptr<float>();
    at::parallel_for(0, rows.size(0), kRowsPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t head = 0; head < num_kv_heads_; ++head)
          std::copy_n(from + (head * capacity_ + slots[static_cast<size_t>(row)]) * head_dim_, head_dim_,
                      to + (row * num_kv_heads_ + head) * head_dim_);
    });
    return rows;
  }

  at::Tensor AttendByKernel(int layer, const at::Tensor& queries, std::span<const int32_t> slots,
                            const LocalRows& local) const {
    const at::Tensor wide = queries.to(at::kFloat).contiguous();
    at::Tensor out = at::empty({queries.size(0), num_heads_ * head_dim_}, wide.options());
    fp32::Attention({.queries = wide.const_data_ptr<float>(),
                     .out = out.mutable_data_ptr<float>(),
                     .limits = slots.data(),
                     .slot_bias = slot_bias_.const_data_ptr<float>(),
                     .num_rows = static_cast<int>(queries.size(0)),
                     .num_heads = static_cast<int>(num_heads_),
                     .num_kv_heads = static_cast<int>(num_kv_heads_),
                     .head_dim = static_cast<int>(head_dim_),
                     .capacity = capacity_,
                     .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim_))),
                     .num_threads = at::get_num_threads(),
                     .local = local},
                    {keys_[layer].const_data_ptr<float>(), values_[layer].const_data_ptr<float>()});
    return out.to(queries.scalar_type());
  }

  int64_t num_heads_, num_kv_heads_, head_dim_;
  int32_t capacity_;
  at::ScalarType compute_dtype_;
  bool uses_kernel_;
  std::vector<at::Tensor> keys_, values_;  // per layer [num_kv_heads, capacity, head_dim]
  at::Tensor slot_bias_;                   // [capacity], fp32, added to scaled scores
};

}  // namespace

std::unique_ptr<KvCache> MakePlainKvCache(const ModelConfig& config, int num_layers, int32_t capacity,
                                          at::ScalarType dtype, at::Device device) {
  return std::make_unique<PlainKvCache>(config, num_layers, capacity, dtype, device);
}

}  // namespace cacheclip
