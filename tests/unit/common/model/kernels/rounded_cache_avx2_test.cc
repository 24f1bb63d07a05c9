#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "common/model/kernels/isa.h"
#include "common/model/kernels/packed_weights.h"
#include "tests/unit/common/model/kernels/rounded_layer.h"

namespace cacheclip {
namespace {

constexpr int kHeads = 2, kDim = 96, kWidth = kHeads * kDim;

class RoundedCache : public testing::Test {
 protected:
  void SetUp() override {
    if (!MachineHas(Isa::kAvx2)) GTEST_SKIP() << "this CPU lacks AVX2";
  }

  std::vector<float> Rows(size_t count, float scale = 1) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> rows(count * kWidth);
    for (float& x : rows) x = normal(random_);
    return rows;
  }

  struct Loaded {
    std::vector<float> keys, values;
  };
  static Loaded Load(const RoundedLayer& layer, const std::vector<int32_t>& slots) {
    Loaded loaded{std::vector<float>(slots.size() * kWidth), std::vector<float>(slots.size() * kWidth)};
    fp32::LoadRounded(layer.view, slots.data(), static_cast<int64_t>(slots.size()), loaded.keys.data(),
                      loaded.values.data(), kWidth, 2);
    return loaded;
  }
  static void Store(const RoundedLayer& layer, const std::vector<float>& keys,
                    const std::vector<float>& values, const std::vector<int32_t>& slots) {
    fp32::StoreRounded(layer.view, keys.data(), values.data(), kWidth, slots.data(),
                       static_cast<int64_t>(slots.size()), 2);
  }

  // Half a unit: of the largest that the norm or the largest element allow.
  static void ExpectNear(const std::vector<float>& rows, const std::vector<float>& loaded, bool norm_counts) {
    for (size_t head = 0; head * kDim < rows.size(); ++head) {
      float largest = 0, squares = 0;
      for (size_t d = head * kDim; d < (head + 1) * kDim; ++d)
        largest = std::max(largest, std::fabs(rows[d])), squares += rows[d] * rows[d];
      const float unit =
          std::max(largest / INT16_MAX, norm_counts ? std::sqrt(squares) / fp32::MaxWeightNorm(kDim) : 0.0f);
      for (size_t d = head * kDim; d < (head + 1) * kDim; ++d)
        ASSERT_NEAR(rows[d], loaded[d], 0.501f * unit) << "head " << head << ", element " << d % kDim;
    }
  }

  std::mt19937 random_{3};
};

TEST_F(RoundedCache, ReadsBackWithinHalfAUnit) {
  const RoundedLayer layer(kHeads, kDim, 50);
  const std::vector<int32_t> slots = {0, 1, 2, 7, 8, 30, 31, 33, 49};
  for (const float scale : {1e-6f, 1.0f, 3000.0f}) {
    const std::vector<float> keys = Rows(slots.size(), scale), values = Rows(slots.size(), scale);
    Store(layer, keys, values, slots);
    const Loaded loaded = Load(layer, slots);
    ExpectNear(keys, loaded.keys, true);
    ExpectNear(values, loaded.values, false);
  }
}

TEST_F(RoundedCache, OtherSlotsStayAsTheyAre) {
  const RoundedLayer layer(kHeads, kDim, 40);
  std::vector<int32_t> all(40);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
  Store(layer, Rows(40), Rows(40), all);
  const Loaded before = Load(layer, all);
  const std::vector<int32_t> written = {4, 11, 12};
  Store(layer, Rows(3), Rows(3), written);
  const Loaded after = Load(layer, all);
  for (size_t i = 0; i < before.keys.size(); ++i) {
    const bool same = std::ranges::find(written, static_cast<int32_t>(i / kWidth)) == written.end();
    EXPECT_EQ(before.keys[i] == after.keys[i], same) << "slot " << i / kWidth;
    EXPECT_EQ(before.values[i] == after.values[i], same) << "slot " << i / kWidth;
  }
}

TEST_F(RoundedCache, RowsOfAWiderMatrixAndOfZeros) {
  const RoundedLayer layer(kHeads, kDim, 16);
  constexpr int64_t kStride = 2 * kWidth;  // keys and values side by side
  std::vector<float> rows = Rows(4);
  std::fill_n(rows.begin() + kStride, kStride, 0.0f);
  const int32_t slots[] = {3, 5};
  fp32::StoreRounded(layer.view, rows.data(), rows.data() + kWidth, kStride, slots, 2, 1);
  const Loaded loaded = Load(layer, {3, 5});
  std::vector<float> keys(rows.begin(), rows.begin() + kWidth),
      values(rows.begin() + kWidth, rows.begin() + kStride);
  keys.resize(2 * kWidth), values.resize(2 * kWidth);
  ExpectNear(keys, loaded.keys, true);
  ExpectNear(values, loaded.values, false);
}

}  // namespace
}  // namespace cacheclip
