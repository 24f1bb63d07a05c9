// Whatever form the machine takes, against libtorch's product with the same weights.
#include "common/model/linear_weights.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "common/model/kernels/isa.h"

namespace cacheclip {
namespace {

// Largest difference over the largest value expected.
double Error(const at::Tensor& ours, const at::Tensor& expected) {
  EXPECT_EQ(ours.sizes(), expected.sizes());
  const at::Tensor wide = expected.to(at::kFloat);
  return ((ours.to(at::kFloat) - wide).abs().max() / wide.abs().max()).item<double>();
}

at::Tensor RoundedToInt8(const at::Tensor& weight) {
  const at::Tensor scale = weight.to(at::kFloat).abs().amax(1, true) / 127;
  return (weight.to(at::kFloat) / scale).round() * scale;
}

struct Case {
  const char* name;
  at::ScalarType stored, dtype;
  WeightRounding rounding;
  double tolerance;
};

class Linear : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { at::manual_seed(1); }  // the same numbers whatever ran before
  // As the model has them, and as products should see them.
  at::Tensor Stored(at::IntArrayRef sizes) const { return (at::randn(sizes) / 20).to(GetParam().stored); }
  at::Tensor Seen(const at::Tensor& stored) const {
    return GetParam().rounding == WeightRounding::kInt8 ? RoundedToInt8(stored)
                                                        : stored.to(GetParam().dtype).to(at::kFloat);
  }
  at::Tensor Input(int64_t rows, int64_t inputs) const {
    return at::randn({rows, inputs}).to(GetParam().dtype);
  }
  WeightOptions Options() const { return {.dtype = GetParam().dtype, .rounding = GetParam().rounding}; }
};

TEST_P(Linear, ApplyIsTheProductAndTheBias) {
  const at::Tensor stored = Stored({50, 72}), bias = at::randn({50}).to(GetParam().stored);
  const LinearWeights weights(stored, bias, Options());
  for (const int64_t rows : {1, 3, 40}) {
    const at::Tensor x = Input(rows, 72);
    const at::Tensor expected = at::linear(x.to(at::kFloat), Seen(stored), bias.to(at::kFloat));
    EXPECT_LT(Error(weights.Apply(x), expected), GetParam().tolerance) << rows;
    EXPECT_EQ(weights.Apply(x).scalar_type(), GetParam().dtype);
    EXPECT_EQ(weights.ApplyWide(x).scalar_type(), at::kFloat);
    EXPECT_LT(Error(weights.ApplyWide(x), expected), GetParam().tolerance) << rows;
  }
}

TEST_P(Linear, AddToAddsTheProduct) {
  const at::Tensor stored = Stored({32, 40});
  const LinearWeights weights(stored, {}, Options());
  const at::Tensor x = Input(9, 40), before = Input(9, 32);
  at::Tensor sum = before.clone();
  weights.AddTo(sum, x);
  EXPECT_LT(Error(sum, before.to(at::kFloat) + at::linear(x.to(at::kFloat), Seen(stored))),
            GetParam().tolerance);
}

TEST_P(Linear, GatedIsSiluOfTheGateTimesUp) {
  for (const int64_t inner : {16, 44}) {
    const at::Tensor gate = Stored({inner, 24}), up = Stored({inner, 24}), x = Input(7, 24);
    const at::Tensor expected =
        at::silu(at::linear(x.to(at::kFloat), Seen(gate))) * at::linear(x.to(at::kFloat), Seen(up));
    EXPECT_LT(Error(LinearWeights::Gated(gate, up, Options()).ApplyGated(x), expected),
              3 * GetParam().tolerance);
  }
}

TEST_P(Linear, RowsAreThoseOfTheMatrix) {
  const at::Tensor stored = Stored({37, 16}), ids = at::tensor({0, 36, 17, 36}, at::kLong);
  const at::Tensor rows = LinearWeights(stored, {}, Options()).Rows(ids);
  EXPECT_EQ(rows.scalar_type(), GetParam().dtype);
  EXPECT_LT(Error(rows, at::embedding(Seen(stored), ids)), GetParam().tolerance);
}

TEST_P(Linear, PanelsHoldWeightsAsNarrowAsTheyAre) {
  const at::Tensor stored = Stored({64, 96});
  const LinearWeights weights(stored, {}, Options());
  if (!weights.is_packed()) GTEST_SKIP() << "held as a tensor here";
  const WeightRounding rounding = GetParam().rounding;
  const int64_t scales = rounding != WeightRounding::kNone ? 64 * 4 : 0;
  const int64_t element = rounding == WeightRounding::kInt8                                          ? 1
                          : rounding == WeightRounding::kInt16 || GetParam().stored == at::kBFloat16 ? 2
                                                                                                     : 4;
  EXPECT_EQ(weights.num_bytes(), 64 * 96 * element + scales);
}

// Of fp32: sums in another order. Of integers: rows are rounded to 15 bits, and weights to int16 too; beside
// int8 weights to 7 where the CPU has such products. bf16 results: half a step of 2^-8.
constexpr Case kCases[] = {{"fp32", at::kFloat, at::kFloat, WeightRounding::kNone, 1e-5},
                           {"bf16_in_fp32", at::kBFloat16, at::kFloat, WeightRounding::kNone, 1e-5},
                           {"fp16_in_fp32", at::kHalf, at::kFloat, WeightRounding::kNone, 1e-5},
                           {"bf16", at::kBFloat16, at::kBFloat16, WeightRounding::kNone, 1e-2},
                           {"int16_of_bf16", at::kBFloat16, at::kFloat, WeightRounding::kInt16, 5e-4},
                           {"int16_of_fp32", at::kFloat, at::kFloat, WeightRounding::kInt16, 5e-4},
                           {"int8_in_fp32", at::kBFloat16, at::kFloat, WeightRounding::kInt8, 1e-2},
                           {"int8_in_bf16", at::kBFloat16, at::kBFloat16, WeightRounding::kInt8, 1e-2}};
INSTANTIATE_TEST_SUITE_P(Weights, Linear, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(LinearOfBf16Weights, GivesTheBitsOfTheSameWeightsInFp32) {
  const at::Tensor stored = at::randn({48, 64}).to(at::kBFloat16);
  const WeightOptions options{.dtype = at::kFloat};
  const LinearWeights narrow(stored, {}, options), wide(stored.to(at::kFloat), {}, options);
  for (const int64_t rows : {1, 30}) {
    const at::Tensor x = at::randn({rows, 64});
    EXPECT_TRUE(narrow.Apply(x).equal(wide.Apply(x))) << rows;
  }
}

TEST(LinearOfInt8Weights, ZerosStayZeros) {
  const LinearWeights weights(at::zeros({20, 32}), {},
                              {.dtype = at::kFloat, .rounding = WeightRounding::kInt8});
  EXPECT_TRUE(weights.Apply(at::randn({2, 32})).equal(at::zeros({2, 20})));
  EXPECT_TRUE(weights.Apply(at::zeros({9, 32})).equal(at::zeros({9, 20})));
}

}  // namespace
}  // namespace cacheclip
