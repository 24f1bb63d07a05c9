// Memory of one layer's rounded cache, for tests; slots that nobody wrote hold whatever int16 there is, with
// the scale 0.
#pragma once

#include <cstdint>
#include <vector>

#include "common/model/kernels/rounded_cache.h"

namespace cacheclip {

class RoundedLayer {
 public:
  RoundedLayer(int num_kv_heads, int head_dim, int num_slots) {
    constexpr int kBlock = fp32::kRoundedSlotAlignment;
    view = {.num_kv_heads = num_kv_heads,
            .head_dim = head_dim,
            .capacity = (num_slots + kBlock - 1) / kBlock * kBlock};
    const size_t slots = static_cast<size_t>(num_kv_heads) * static_cast<size_t>(view.capacity);
    for (std::vector<int16_t>* elements : {&keys_, &values_})
      elements->assign(slots * static_cast<size_t>(head_dim), INT16_MIN);
    for (std::vector<float>* scales : {&key_scales_, &value_scales_}) scales->assign(slots, 0.0f);
    view.keys = keys_.data(), view.key_scales = key_scales_.data();
    view.values = values_.data(), view.value_scales = value_scales_.data();
  }
  RoundedLayer(const RoundedLayer&) = delete;
  RoundedLayer& operator=(const RoundedLayer&) = delete;

  fp32::RoundedCache view;

 private:
  std::vector<int16_t> keys_, values_;
  std::vector<float> key_scales_, value_scales_;
};

}  // namespace cacheclip
