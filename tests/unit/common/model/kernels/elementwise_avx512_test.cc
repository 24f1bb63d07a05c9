// The kernels on plain arrays: strides, whole rows only, several threads. Their arithmetic:
// ../elementwise_test.cc.
#include "common/model/kernels/elementwise_avx512.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/common/model/kernels/bf16_arrays.h"

namespace cacheclip {
namespace {

using avx512::Bf16;

constexpr Bf16 kUntouched = 0x7fc0;

class ElementwiseKernels : public testing::Test {
 protected:
  void SetUp() override {
    if (!MachineHas(Isa::kAvx512Bf16)) GTEST_SKIP() << kNoBf16;
  }
};

TEST_F(ElementwiseKernels, RmsNormReadsAndWritesByItsStrides) {
  const int rows = 5, columns = 32, x_stride = 50, out_stride = 40;
  const auto x = RandomBf16(rows * x_stride, 1), weight = RandomBf16(columns, 2);
  std::vector<Bf16> out(rows * out_stride, kUntouched);
  avx512::RmsNorm(x.data(), x_stride, weight.data(), 1e-5f, out.data(), out_stride, rows, columns, 2);
  for (int row = 0; row < rows; ++row) {
    double sum = 0;
    for (int i = 0; i < columns; ++i) sum += std::pow(FromBf16(x[row * x_stride + i]), 2);
    const double scale = 1 / std::sqrt(sum / columns + 1e-5);
    for (int i = 0; i < out_stride; ++i) {
      const Bf16 ours = out[row * out_stride + i];
      if (i >= columns) {
        EXPECT_EQ(ours, kUntouched);
        continue;
      }
      const double expected = FromBf16(x[row * x_stride + i]) * scale * FromBf16(weight[i]);
      EXPECT_NEAR(FromBf16(ours), expected, std::abs(expected) / 64 + 1e-6);
    }
  }
}

TEST_F(ElementwiseKernels, ThreadsDoNotChangeTheBits) {
  const int rows = 300, columns = 128;
  const auto x = RandomBf16(rows * 2 * columns, 1), weight = RandomBf16(columns, 2);
  std::vector<Bf16> one(rows * columns), two = one;
  avx512::RmsNorm(x.data(), 2 * columns, weight.data(), 1e-5f, one.data(), columns, rows, columns, 1);
  avx512::RmsNorm(x.data(), 2 * columns, weight.data(), 1e-5f, two.data(), columns, rows, columns, 3);
  EXPECT_EQ(one, two);
  avx512::SwiGlu(x.data(), one.data(), rows, columns, 1);
  avx512::SwiGlu(x.data(), two.data(), rows, columns, 3);
  EXPECT_EQ(one, two);
}

TEST_F(ElementwiseKernels, RotateRowsAtAngleZeroCopies) {
  const int rows = 4, heads = 2, dim = 64, stride = 200;
  const auto x = RandomBf16(rows * stride, 1);
  const std::vector<float> cosine(rows * dim / 2, 1.0f), sine(rows * dim / 2, 0.0f);
  std::vector<Bf16> out(rows * heads * dim);
  avx512::RotateRows(x.data(), stride, cosine.data(), sine.data(), out.data(), rows, heads, dim, 2);
  for (int row = 0; row < rows; ++row)
    for (int i = 0; i < heads * dim; ++i)
      EXPECT_EQ(FromBf16(out[row * heads * dim + i]), FromBf16(x[row * stride + i]));
}

TEST_F(ElementwiseKernels, SwiGluMatchesTheDefinitionOverItsRange) {
  std::vector<Bf16> gate_up(2 * 512), out(512);
  for (int i = 0; i < 512; ++i)
    gate_up[i] = ToBf16(static_cast<float>(i - 256) * 0.25f), gate_up[512 + i] = ToBf16(1);
  avx512::SwiGlu(gate_up.data(), out.data(), 1, 512, 1);
  for (int i = 0; i < 512; ++i) {
    const double gate = FromBf16(gate_up[i]), expected = gate / (1 + std::exp(-gate));
    EXPECT_NEAR(FromBf16(out[i]), expected, std::abs(expected) / 200 + 1e-30) << gate;
  }
}

TEST_F(ElementwiseKernels, AddTouchesExactlyItsElements) {
  auto x = RandomBf16(96, 1);
  const auto before = x, y = RandomBf16(96, 2);
  avx512::Add(x.data(), y.data(), 80, 2);
  for (int i = 0; i < 96; ++i)
    EXPECT_EQ(x[i], i < 80 ? ToBf16(FromBf16(before[i]) + FromBf16(y[i])) : before[i]);
}

}  // namespace
}  // namespace cacheclip
