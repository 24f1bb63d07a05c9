// The fp32 kernels on plain arrays: strides, whole rows only, several threads.
#include "common/model/kernels/elementwise_avx2.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "common/model/kernels/isa.h"

namespace cacheclip {
namespace {

constexpr float kUntouched = 12345;

std::vector<float> Random(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

class ElementwiseAvx2 : public testing::Test {
 protected:
  void SetUp() override {
    if (!MachineHas(Isa::kAvx2)) GTEST_SKIP() << "this CPU lacks avx2";
  }
};

TEST_F(ElementwiseAvx2, RmsNormReadsAndWritesByItsStrides) {
  const int rows = 600, columns = 40, x_stride = 50, out_stride = 48;
  const auto x = Random(rows * x_stride, 1), weight = Random(columns, 2);
  std::vector<float> out(rows * out_stride, kUntouched);
  fp32::RmsNorm(x.data(), x_stride, weight.data(), 1e-5f, out.data(), out_stride, rows, columns, 2);
  for (int row = 0; row < rows; ++row) {
    double sum = 0;
    for (int i = 0; i < columns; ++i) sum += std::pow(x[row * x_stride + i], 2);
    const double scale = 1 / std::sqrt(sum / columns + 1e-5);
    for (int i = 0; i < out_stride; ++i) {
      const float ours = out[row * out_stride + i];
      if (i < columns)
        EXPECT_NEAR(ours, x[row * x_stride + i] * scale * weight[i], 1e-5);
      else
        EXPECT_EQ(ours, kUntouched);
    }
  }
}

TEST_F(ElementwiseAvx2, RotateRowsTurnsEachPairByItsRowsAngle) {
  const int rows = 300, heads = 3, dim = 32, x_stride = 100, capacity = rows + 7;
  const auto x = Random(rows * x_stride, 3), cosine = Random(rows * dim / 2, 4),
             sine = Random(rows * dim / 2, 5);
  std::vector<float> out(heads * capacity * dim, kUntouched);  // a head's rows together, as in a cache
  fp32::RotateRows(x.data(), x_stride, cosine.data(), sine.data(), {out.data(), dim, capacity * dim}, rows,
                   heads, dim, 2);
  EXPECT_EQ(std::ranges::count(out, kUntouched), heads * (capacity - rows) * dim);
  for (int row = 0; row < rows; ++row)
    for (int head = 0; head < heads; ++head)
      for (int i = 0; i < dim / 2; ++i) {
        const float *from = &x[row * x_stride + head * dim], *to = &out[(head * capacity + row) * dim];
        const float c = cosine[row * dim / 2 + i], s = sine[row * dim / 2 + i];
        EXPECT_NEAR(to[i], from[i] * c - from[i + dim / 2] * s, 1e-5);
        EXPECT_NEAR(to[i + dim / 2], from[i + dim / 2] * c + from[i] * s, 1e-5);
      }
}

}  // namespace
}  // namespace cacheclip
