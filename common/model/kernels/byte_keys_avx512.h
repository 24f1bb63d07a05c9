// Keys of the packed cache layout (attention_avx512.h) rounded to int8 for the passes that multiply them so
// (attention_bytes_avx512.h). Included by kernel files alone (needs their compile flags).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <vector>

#include "common/model/kernels/attention_primitives_avx512.h"
#include "common/model/kernels/vector_avx512.h"

namespace cacheclip::avx512 {
namespace {

constexpr int kLargestByte = 127, kByteOffset = 128;  // the offset makes a byte without a sign of one with it

// One layer's keys as bytes: [num_kv_heads][capacity / 16][D / 4][16] fours of components.
class ByteKeys {
 public:
  // Room for a cache's keys; what was rounded before is gone.
  void Resize(const AttentionArguments& a) {
    capacity_ = static_cast<size_t>(a.capacity), dim_ = static_cast<size_t>(a.head_dim);
    fours_.resize(static_cast<size_t>(a.num_kv_heads) * capacity_ * dim_ / 4);
    scales_.resize(static_cast<size_t>(a.num_kv_heads) * capacity_);
    offsets_.resize(scales_.size());
  }

  const uint32_t* fours(int kv_head) const { return fours_.data() + kv_head * capacity_ * dim_ / 4; }
  const float* scales(int kv_head) const { return scales_.data() + kv_head * capacity_; }
  // What a slot's products are too high by where kByteOffset was added to queries, negated.
  const float* offsets(int kv_head) const { return offsets_.data() + kv_head * capacity_; }

  // 16 slots, the first a multiple of 16. Threads may round different ones side by side.
  void Round(const AttentionArguments& a, int kv_head, int slot) {
    const size_t first = kv_head * capacity_ + static_cast<size_t>(slot);
    const auto* const pairs = reinterpret_cast<const pair_t*>(a.keys + first * dim_);
    const int num_pairs = static_cast<int>(dim_) / 2;
    __m512 largest = _mm512_setzero_ps();
    for (int i = 0; i < num_pairs; ++i)
      for (const int half : {0, 1})
        largest = _mm512_max_ps(largest, _mm512_abs_ps(Wide(pairs + 16 * i, half)));
    const __m512 scale = _mm512_mul_ps(largest, _mm512_set1_ps(1.0f / kLargestByte));
    const __m512 inverse = _mm512_maskz_div_ps(_mm512_cmp_ps_mask(largest, _mm512_setzero_ps(), _CMP_GT_OQ),
                                               _mm512_set1_ps(kLargestByte), largest);
    _mm512_storeu_ps(&scales_[first], scale);
    uint32_t* to = &fours_[first * dim_ / 4];
    __m512i sum = _mm512_setzero_si512();
    for (int i = 0; i < num_pairs; i += 2, to += 16) {
      __m512i four = _mm512_setzero_si512();
      for (int component = 0; component < 4; ++component) {
        const __m512 x = Wide(pairs + 16 * (i + component / 2), component % 2);
        const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(x, inverse));
        sum = _mm512_add_epi32(sum, rounded);
        const __m512i byte = _mm512_and_si512(rounded, _mm512_set1_epi32(0xff));
        four = _mm512_or_si512(four, _mm512_slli_epi32(byte, 8 * component));
      }
      _mm512_storeu_si512(to, four);
    }
    _mm512_storeu_ps(&offsets_[first], _mm512_mul_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale),
                                                     _mm512_set1_ps(-kByteOffset)));
  }

 private:
  static __m512 Wide(const pair_t* pairs, int half) {  // the lower halves of 16 pairs, or the upper ones
    const __m512i line = _mm512_loadu_si512(pairs);
    return half == 0 ? WidenLow(line) : WidenHigh(line);
  }

  size_t capacity_ = 0, dim_ = 0;
  std::vector<uint32_t> fours_;
  std::vector<float> scales_, offsets_;  // [num_kv_heads, capacity]
};

}  // namespace
}  // namespace cacheclip::avx512
