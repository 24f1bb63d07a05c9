#include "common/kv/int8_quantiser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace cacheclip {
namespace {

struct Quantised {
  absl::Status status;
  std::vector<int8_t> elements;
  std::vector<float> scales;
};

Quantised Keys(const std::vector<float>& keys, size_t num_channels) {
  Quantised result{{}, std::vector<int8_t>(keys.size()), std::vector<float>(num_channels)};
  result.status = QuantiseKeys(keys, result.elements, result.scales);
  return result;
}

Quantised Values(const std::vector<float>& values, size_t width) {
  Quantised result{{}, std::vector<int8_t>(values.size()), std::vector<float>(values.size() / width)};
  result.status = QuantiseValues(values, result.elements, result.scales);
  return result;
}

// Channel i is about as large as i + 1, so that scales differ by much.
std::vector<float> RandomRows(size_t num_rows, size_t width) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> rows;
  for (size_t i = 0; i < num_rows * width; ++i)
    rows.push_back(normal(random) * static_cast<float>(i % width + 1));
  return rows;
}

TEST(QuantiseKeys, ErrorIsAtMostHalfTheChannelsScale) {
  const std::vector<float> keys = RandomRows(50, 24);
  const Quantised result = Keys(keys, 24);
  ASSERT_TRUE(result.status.ok()) << result.status;
  for (size_t i = 0; i < keys.size(); ++i)
    EXPECT_LE(std::abs(static_cast<float>(result.elements[i]) * result.scales[i % 24] - keys[i]),
              result.scales[i % 24] * 0.50001f);
  for (size_t channel = 0; channel < 24; ++channel) {
    float largest = 0;
    for (size_t i = channel; i < keys.size(); i += 24) largest = std::max(largest, std::abs(keys[i]));
    EXPECT_EQ(result.scales[channel], largest / 127);
  }
}

TEST(QuantiseValues, ErrorIsAtMostHalfTheRowsScale) {
  const std::vector<float> values = RandomRows(30, 16);
  const Quantised result = Values(values, 16);
  ASSERT_TRUE(result.status.ok()) << result.status;
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_LE(std::abs(static_cast<float>(result.elements[i]) * result.scales[i / 16] - values[i]),
              result.scales[i / 16] * 0.50001f);
}

TEST(QuantiseKeys, TheLargestBecomes127AndTiesGoToEven) {
  const Quantised result = Keys({127, -127, 0.5f, 1.5f, -2.5f, 63.4f, -0.5f}, 1);
  EXPECT_EQ(result.elements, (std::vector<int8_t>{127, -127, 0, 2, -2, 63, 0}));
  EXPECT_EQ(result.scales, std::vector<float>{1});
}

TEST(QuantiseKeys, ZerosHaveScaleZero) {
  const Quantised result = Keys({0, 1, -0.0f, 2}, 2);
  EXPECT_EQ(result.elements, (std::vector<int8_t>{0, 64, 0, 127}));
  EXPECT_EQ(result.scales[0], 0);
  EXPECT_FALSE(std::signbit(result.scales[0])) << "only one form of zero is written";
}

TEST(QuantiseValues, TinyAndHugeRowsStayInRange) {
  constexpr float kTiny = std::numeric_limits<float>::denorm_min(), kHuge = 3e38f;
  const Quantised result = Values({kTiny, -kTiny, 90 * kTiny, -100 * kTiny, kHuge, -kHuge}, 2);
  ASSERT_TRUE(result.status.ok()) << result.status;
  for (size_t i = 0; i < result.elements.size(); ++i) EXPECT_GE(result.elements[i], -127) << i;
  EXPECT_EQ(result.elements[4], 127);
  EXPECT_TRUE(std::isfinite(127 * result.scales[2]));
}

TEST(QuantiseKeysAndValues, WhatIsNotFiniteIsInternal) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                          -std::numeric_limits<float>::quiet_NaN()})
    for (const size_t at : {0, 5, 11}) {
      std::vector<float> rows(12, 1.0f);
      rows[at] = bad;
      EXPECT_TRUE(absl::IsInternal(Keys(rows, 4).status)) << bad << " at " << at;
      EXPECT_TRUE(absl::IsInternal(Values(rows, 4).status)) << bad << " at " << at;
    }
}

}  // namespace
}  // namespace cacheclip
