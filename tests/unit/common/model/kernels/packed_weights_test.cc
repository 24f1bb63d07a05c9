#include "common/model/kernels/packed_weights.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/unit/common/model/kernels/packed_matrix.h"

namespace cacheclip {
namespace {

using fp32::Element;

class PackedLinear : public testing::TestWithParam<Element> {};

TEST_P(PackedLinear, UnpackedWeightsAreThePackedOnesWithinTheirRounding) {
  std::mt19937 random(1);
  const std::vector<float> weights = Random(19 * 33, random);
  const Packed packed(GetParam(), weights, 19, 33);
  for (int64_t output = 0; output < 19; ++output) {
    const std::vector<float> row = packed.Row(output);
    float largest = 0, squares = 0;
    for (int k = 0; k < 33; ++k) {
      largest = std::max(largest, std::fabs(weights[output * 33 + k]));
      squares += weights[output * 33 + k] * weights[output * 33 + k];
    }
    const float int16_scale = std::max(largest / INT16_MAX, std::sqrt(squares) / fp32::MaxWeightNorm(33));
    for (int k = 0; k < 33; ++k) {
      const float weight = weights[output * 33 + k];
      const float step = GetParam() == Element::kInt8    ? largest / 127 / 2
                         : GetParam() == Element::kInt16 ? int16_scale / 2
                         : GetParam() == Element::kFp32  ? 0
                                                         : std::fabs(weight) / 256;
      EXPECT_LE(std::fabs(row[k] - weight), step * 1.0001f) << output << " " << k;
    }
  }
}

TEST_P(PackedLinear, LanesBehindTheLastRowAreZero) {
  std::mt19937 random(2);
  const Packed packed(GetParam(), Random(3 * 5, random), 3, 5);
  for (int64_t lane = 3; lane < fp32::kPanelOutputs; ++lane)
    EXPECT_EQ(packed.Row(lane), std::vector<float>(5, 0.0f));
}

TEST_P(PackedLinear, ASourceInBf16IsItsOwnValues) {
  const std::vector<uint16_t> source = {0x3f80, 0xbf00, 0x4049, 0x0000};  // 1, -0.5, 3.140625, 0
  Packed packed(GetParam(), std::vector<float>(4, 9.0f), 1, 4);
  fp32::Pack({Element::kBf16, source.data(), 1}, 0, fp32::kPanelOutputs, packed.view, 1);
  const float step = fp32::IsRounded(GetParam()) ? 3.140625f / 127 / 2 : 0;
  const float expected[] = {1, -0.5f, 3.140625f, 0};
  for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(packed.Row(0)[k], expected[k], step * 1.0001f);
}

INSTANTIATE_TEST_SUITE_P(Elements, PackedLinear, testing::ValuesIn(kElements),
                         [](const auto& info) { return ElementName(info.param); });

}  // namespace
}  // namespace cacheclip
