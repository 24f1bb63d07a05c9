#include "common/model/kernels/rounded_cache.h"

#include <limits>

#include "common/model/kernels/packed_weights.h"
#include "common/model/kernels/parallel_rows.h"
#include "common/model/kernels/rounding.h"

namespace cacheclip::fp32 {
namespace {

// Below this many elements a second thread costs more than it helps.
constexpr int64_t kParallelElements = 1 << 14;

// Where a slot's key and value of a head, and their scales, lie.
struct Place {
  int16_t *key, *value;  // the value's elements are two apart
  float *key_scale, *value_scale;
};

Place At(const RoundedCache& cache, int head, int32_t slot) {
  const int64_t index = int64_t{head} * cache.capacity + slot, dim = cache.head_dim;
  return {.key = cache.keys + index * dim,
          .value = cache.values + (index - slot % 2) * dim + slot % 2,
          .key_scale = cache.key_scales + index,
          .value_scale = cache.value_scales + index};
}

// out: a[0], b[0], a[1], b[1], …
void Interleave(const int16_t* a, const int16_t* b, int count, int16_t* out) {
  for (int i = 0; i < count; i += 16, out += 32) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i));
    const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + i));
    const __m256i low = _mm256_unpacklo_epi16(x, y), high = _mm256_unpackhi_epi16(x, y);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16), _mm256_permute2x128_si256(low, high, 0x31));
  }
}

}  // namespace

void StoreRounded(const RoundedCache& cache, const float* keys, const float* values, int64_t stride,
                  const int32_t* slots, int64_t num_rows, int num_threads) {
  const int dim = cache.head_dim;
  const float max_norm = MaxWeightNorm(dim);
  const auto begins_pair = [&](int64_t row) {
    return slots[row] % 2 == 0 && row + 1 < num_rows && slots[row + 1] == slots[row] + 1;
  };
  const auto round_value = [&](int64_t row, int head, int16_t* value) {
    *At(cache, head, slots[row]).value_scale = RoundRow(values + row * stride + int64_t{head} * dim, dim,
                                                        std::numeric_limits<float>::infinity(), value);
  };
  const auto store = [&](int64_t row) {
    const bool ends_pair = row > 0 && begins_pair(row - 1);  // then its values are stored already
    for (int head = 0; head < cache.num_kv_heads; ++head) {
      const Place place = At(cache, head, slots[row]);
      *place.key_scale = RoundRow(keys + row * stride + int64_t{head} * dim, dim, max_norm, place.key);
      if (ends_pair) continue;
      int16_t value[kMaxRoundedHeadDim], next[kMaxRoundedHeadDim];
      round_value(row, head, value);
      if (begins_pair(row)) {
        round_value(row + 1, head, next);
        Interleave(value, next, dim, place.value);
      } else {
        for (int d = 0; d < dim; ++d) place.value[2 * d] = value[d];
      }
    }
  };
  ForEachRow(num_rows, 2 * num_rows * cache.num_kv_heads * dim, kParallelElements, num_threads, store);
}

void LoadRounded(const RoundedCache& cache, const int32_t* slots, int64_t num_rows, float* keys,
                 float* values, int64_t stride, int num_threads) {
  const int dim = cache.head_dim;
  ForEachRow(num_rows, 2 * num_rows * cache.num_kv_heads * dim, kParallelElements, num_threads,
             [&](int64_t row) {
               for (int head = 0; head < cache.num_kv_heads; ++head) {
                 const Place place = At(cache, head, slots[row]);
                 const int64_t to = row * stride + int64_t{head} * dim;
                 for (int d = 0; d < dim; ++d) {
                   keys[to + d] = *place.key_scale * static_cast<float>(place.key[d]);
                   values[to + d] = *place.value_scale * static_cast<float>(place.value[2 * d]);
                 }
               }
             });
}

}  // namespace cacheclip::fp32
