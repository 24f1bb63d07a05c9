#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "common/model/kernels/attention_avx512.h"
#include "tests/unit/common/model/kernels/bf16_arrays.h"

namespace cacheclip {
namespace {

using avx512::Bf16;

class PackedLayout : public testing::TestWithParam<int> {  // head dimension
 protected:
  void SetUp() override {
    if (!MachineHas(Isa::kAvx512Bf16)) GTEST_SKIP() << kNoBf16;
  }

  // By the header's picture: keys [head][slot / 16][pair][slot % 16][2], values [head][slot /
  // 2][component][slot % 2].
  Bf16 KeyAt(const avx512::CacheSlice& cache, int head, int slot, int i) const {
    return cache
        .keys[((static_cast<size_t>(head) * cache.capacity / 16 + slot / 16) * dim_ / 2 + i / 2) * 32 +
              slot % 16 * 2 + i % 2];
  }
  Bf16 ValueAt(const avx512::CacheSlice& cache, int head, int slot, int i) const {
    return cache
        .values[((static_cast<size_t>(head) * cache.capacity / 2 + slot / 2) * dim_ + i) * 2 + slot % 2];
  }

  const int dim_ = GetParam();
};

TEST_P(PackedLayout, RowsLieWhereTheHeaderSays) {
  const std::vector<int32_t> slots = {0, 1, 2, 5, 15, 16, 17, 18, 63, 64, 100, 127};
  const size_t n = slots.size();
  const auto keys = RandomBf16(n * 3 * dim_, 1), values = RandomBf16(n * 3 * dim_, 2);
  const PackedLayer layer(3, dim_, 128);
  avx512::StoreRows(layer.slice(), keys.data(), values.data(), slots.data(), static_cast<int>(n));
  for (size_t t = 0; t < n; ++t)
    for (int head = 0; head < 3; ++head)
      for (int i = 0; i < dim_; ++i) {
        const size_t at = (t * 3 + head) * dim_ + i;
        ASSERT_EQ(KeyAt(layer.slice(), head, slots[t], i), keys[at]);
        ASSERT_EQ(ValueAt(layer.slice(), head, slots[t], i), values[at]);
      }
}

TEST_P(PackedLayout, OtherSlotsStayAsTheyWere) {
  const auto keys = RandomBf16(64 * 2 * dim_, 1), other = RandomBf16(3 * 2 * dim_, 2);
  const PackedLayer layer(2, dim_, 64);
  std::vector<int32_t> slots(64);
  for (int i = 0; i < 64; ++i) slots[i] = i;
  avx512::StoreRows(layer.slice(), keys.data(), keys.data(), slots.data(), 64);
  const std::vector<int32_t> changed = {7, 8, 33};
  avx512::StoreRows(layer.slice(), other.data(), other.data(), changed.data(), 3);
  for (int slot = 0; slot < 64; ++slot) {
    const auto it = std::find(changed.begin(), changed.end(), slot);
    const Bf16* row = it == changed.end() ? keys.data() + slot * 2 * dim_
                                          : other.data() + (it - changed.begin()) * 2 * dim_;
    for (int i = 0; i < dim_; ++i) {
      ASSERT_EQ(KeyAt(layer.slice(), 0, slot, i), row[i]) << slot;
      ASSERT_EQ(ValueAt(layer.slice(), 0, slot, i), row[i]) << slot;
    }
  }
}

TEST_P(PackedLayout, LoadReadsBackExactly) {
  const auto keys = RandomBf16(40 * 2 * dim_, 1), values = RandomBf16(40 * 2 * dim_, 2);
  std::vector<int32_t> slots(40);
  for (int i = 0; i < 40; ++i) slots[i] = 5 + i;
  const PackedLayer layer(2, dim_, 64);
  avx512::StoreRows(layer.slice(), keys.data(), values.data(), slots.data(), 40);
  std::vector<float> k(static_cast<size_t>(30 * dim_)), v = k;
  avx512::LoadKeys(layer.slice(), 1, 10, 40, k.data());
  avx512::LoadValues(layer.slice(), 1, 10, 40, v.data());
  for (int slot = 10; slot < 40; ++slot)
    for (int i = 0; i < dim_; ++i) {
      const size_t at = static_cast<size_t>(((slot - 5) * 2 + 1) * dim_ + i),
                   to = static_cast<size_t>((slot - 10) * dim_ + i);
      ASSERT_EQ(k[to], FromBf16(keys[at]));
      ASSERT_EQ(v[to], FromBf16(values[at]));
    }
}

TEST_P(PackedLayout, RotationRoundsProductsOneByOne) {
  for (int first_slot : {0, 1, 13, 16}) {
    for (int n : {1, 2, 16, 37}) {
      const auto keys = RandomBf16(static_cast<size_t>(n * 2 * dim_), 1);
      std::vector<float> cosine, sine;
      for (int i = 0; i < n * dim_ / 2; ++i) {
        cosine.push_back(std::cos(0.37f * static_cast<float>(i)));
        sine.push_back(std::sin(0.37f * static_cast<float>(i)));
      }
      const PackedLayer layer(2, dim_, 64);
      avx512::RotateAndStore(layer.slice(), keys.data(), keys.data(), cosine.data(), sine.data(), first_slot,
                             n, 2);
      for (int t = 0; t < n; ++t)
        for (int head = 0; head < 2; ++head)
          for (int i = 0; i < dim_ / 2; ++i) {
            const Bf16* row = keys.data() + (t * 2 + head) * dim_;
            const float x = FromBf16(row[i]), y = FromBf16(row[i + dim_ / 2]);
            const float c = cosine[static_cast<size_t>(t * dim_ / 2 + i)],
                        s = sine[static_cast<size_t>(t * dim_ / 2 + i)];
            volatile float xc = x * c, ys = y * s, yc = y * c, xs = x * s;  // no fused multiply-add
            ASSERT_EQ(KeyAt(layer.slice(), head, first_slot + t, i), ToBf16(xc - ys));
            ASSERT_EQ(KeyAt(layer.slice(), head, first_slot + t, i + dim_ / 2), ToBf16(yc + xs));
            ASSERT_EQ(ValueAt(layer.slice(), head, first_slot + t, i), row[i]);
          }
    }
  }
}

TEST_P(PackedLayout, Int8RowsAreDequantisedInFp32AndRoundedOnce) {
  for (int first_slot : {0, 1, 13, 16})
    for (int n : {1, 2, 16, 37}) {
      std::vector<int8_t> keys, values;
      std::vector<float> key_scales, value_scales, cosine, sine;
      for (int i = 0; i < n * 2 * dim_; ++i) {
        keys.push_back(static_cast<int8_t>(i * 37 % 255 - 127));
        values.push_back(static_cast<int8_t>(i * 91 % 256 - 128));
      }
      for (int i = 0; i < 2 * dim_; ++i) key_scales.push_back(0.013f * static_cast<float>(i % 7));
      for (int i = 0; i < 2 * n; ++i) value_scales.push_back(0.0021f * static_cast<float>(i % 11));
      for (int i = 0; i < n * dim_ / 2; ++i) {
        cosine.push_back(std::cos(0.37f * static_cast<float>(i)));
        sine.push_back(std::sin(0.37f * static_cast<float>(i)));
      }
      const PackedLayer layer(2, dim_, 64);
      avx512::DequantiseRotateAndStore(layer.slice(),
                                       {keys.data(), key_scales.data(), values.data(), value_scales.data()},
                                       cosine.data(), sine.data(), first_slot, n, 2);
      for (int t = 0; t < n; ++t)
        for (int head = 0; head < 2; ++head)
          for (int i = 0; i < dim_ / 2; ++i) {
            const size_t at = static_cast<size_t>((t * 2 + head) * dim_ + i), half = dim_ / 2;
            const float* scales = key_scales.data() + head * dim_ + i;
            volatile float x = static_cast<float>(keys[at]) * scales[0],
                           y = static_cast<float>(keys[at + half]) * scales[half];
            const float c = cosine[static_cast<size_t>(t * dim_ / 2 + i)],
                        s = sine[static_cast<size_t>(t * dim_ / 2 + i)];
            volatile float xc = x * c, ys = y * s, yc = y * c, xs = x * s;  // no fused multiply-add
            ASSERT_EQ(KeyAt(layer.slice(), head, first_slot + t, i), ToBf16(xc - ys));
            ASSERT_EQ(KeyAt(layer.slice(), head, first_slot + t, i + dim_ / 2), ToBf16(yc + xs));
            const float scale = value_scales[static_cast<size_t>(t * 2 + head)];
            ASSERT_EQ(ValueAt(layer.slice(), head, first_slot + t, i),
                      ToBf16(static_cast<float>(values[at]) * scale));
          }
    }
}

INSTANTIATE_TEST_SUITE_P(HeadDimensions, PackedLayout, testing::Values(64, 128));

}  // namespace
}  // namespace cacheclip
