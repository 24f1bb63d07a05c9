#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/model/kernels/attention_avx512.h"
#include "tests/unit/common/model/kernels/bf16_arrays.h"

namespace cacheclip {
namespace {

using avx512::Bf16;

constexpr int kHeads = 3, kSlots = 64;

class PackedUnrotated : public testing::TestWithParam<int> {  // head dimension
 protected:
  void SetUp() override {
    if (!MachineHas(Isa::kAvx512Bf16)) GTEST_SKIP() << kNoBf16;
    std::vector<int32_t> all;
    for (int slot = 0; slot < kSlots; ++slot) all.push_back(slot);
    avx512::StoreRows(layer_.slice(), keys_.data(), values_.data(), all.data(), kSlots);
    for (size_t i = 0; i < slots_.size() * static_cast<size_t>(dim_) / 2; ++i) {
      cosine_.push_back(std::cos(0.37f * static_cast<float>(i)));
      sine_.push_back(std::sin(0.37f * static_cast<float>(i)));
    }
  }

  size_t Width() const { return static_cast<size_t>(kHeads * dim_); }

  // Component i of a head, rotated by the angles of slots_[row].
  float Rotated(const Bf16* head, size_t row, int i) const {
    const int half = dim_ / 2;
    const size_t angle = row * static_cast<size_t>(half) + static_cast<size_t>(i % half);
    const float other = FromBf16(head[i < half ? i + half : i - half]);
    return FromBf16(head[i]) * cosine_[angle] + (i < half ? -other : other) * sine_[angle];
  }

  const int dim_ = GetParam();
  // A run in part, one of which only odd slots are meant, a whole one, and one slot by itself.
  const std::vector<int32_t> slots_ = {1,  4,  5,  6,  17, 19, 32, 33, 34, 35, 36, 37,
                                       38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 63};
  const PackedLayer layer_{kHeads, dim_, kSlots};
  const std::vector<Bf16> keys_ = RandomBf16(kSlots * Width(), 1), values_ = RandomBf16(kSlots * Width(), 2);
  std::vector<float> cosine_, sine_;
};

TEST_P(PackedUnrotated, LoadsValuesAsTheyAreAndKeysRotated) {
  std::vector<Bf16> rows(slots_.size() * 2 * Width());
  avx512::LoadUnrotated(layer_.slice(), slots_.data(), static_cast<int>(slots_.size()), cosine_.data(),
                        sine_.data(), rows.data());
  for (size_t row = 0; row < slots_.size(); ++row)
    for (size_t i = 0; i < Width(); ++i) {
      const size_t at = static_cast<size_t>(slots_[row]) * Width() + i;
      const Bf16* const loaded = rows.data() + row * 2 * Width() + i;
      ASSERT_EQ(loaded[0], values_[at]) << slots_[row];
      const int component = static_cast<int>(i) % dim_;
      const float expected = Rotated(keys_.data() + at - component, row, component);
      ASSERT_NEAR(FromBf16(loaded[Width()]), expected, 0.004 * std::abs(expected) + 1e-6) << slots_[row];
    }
}

TEST_P(PackedUnrotated, AddsWithOneRoundingAndLeavesOtherSlotsAlone) {
  const auto value_changes = RandomBf16(slots_.size() * Width(), 3),
             key_changes = RandomBf16(slots_.size() * Width(), 4);
  avx512::AddUnrotated(layer_.slice(), slots_.data(), static_cast<int>(slots_.size()), cosine_.data(),
                       sine_.data(), value_changes.data(), key_changes.data());
  std::vector<float> keys(static_cast<size_t>(kSlots * dim_)), values = keys;
  for (int head = 0; head < kHeads; ++head) {
    avx512::LoadKeys(layer_.slice(), head, 0, kSlots, keys.data());
    avx512::LoadValues(layer_.slice(), head, 0, kSlots, values.data());
    for (int slot = 0; slot < kSlots; ++slot) {
      const auto it = std::ranges::find(slots_, slot);
      const auto row = static_cast<size_t>(it - slots_.begin());
      for (int i = 0; i < dim_; ++i) {
        const size_t at = static_cast<size_t>(slot) * Width() + static_cast<size_t>(head * dim_ + i);
        const size_t read = static_cast<size_t>(slot * dim_ + i);
        const size_t change = row * Width() + static_cast<size_t>(head * dim_);
        if (it == slots_.end()) {
          ASSERT_EQ(values[read], FromBf16(values_[at])) << slot;
          ASSERT_EQ(keys[read], FromBf16(keys_[at])) << slot;
        } else {
          ASSERT_EQ(values[read], FromBf16(ToBf16(FromBf16(values_[at]) +
                                                  FromBf16(value_changes[change + static_cast<size_t>(i)]))));
          const float key = FromBf16(keys_[at]) + Rotated(key_changes.data() + change, row, i);
          ASSERT_NEAR(keys[read], key, 0.004 * std::abs(key) + 1e-6) << slot;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(HeadDimensions, PackedUnrotated, testing::Values(64, 128));

}  // namespace
}  // namespace cacheclip
