// Each step on bf16 tensors, whichever path the machine takes, against the definition in fp32 with the same
// roundings.
#include "common/model/elementwise.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <gtest/gtest.h>

namespace cacheclip {
namespace {

at::Tensor RandomBf16Tensor(at::IntArrayRef sizes) { return at::randn(sizes).to(at::kBFloat16); }

// One step of bf16 is 2^-8 of the value; sums in another order may round to the neighbour.
void ExpectWithinOneStep(const at::Tensor& ours, const at::Tensor& expected) {
  ASSERT_EQ(ours.sizes(), expected.sizes());
  EXPECT_EQ(ours.scalar_type(), at::kBFloat16);
  const at::Tensor wide = expected.to(at::kFloat);
  const at::Tensor excess = (ours.to(at::kFloat) - wide).abs() - wide.abs() / 64 - 1e-6;
  EXPECT_LE(excess.max().item<float>(), 0);
}

at::Tensor ExpectedRmsNorm(const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor wide = x.to(at::kFloat);
  return (wide * at::rsqrt(wide.pow(2).mean(-1, true) + 1e-5)).to(x.scalar_type()) * weight;
}

TEST(RmsNorm, NormsRowsOfAnyLength) {
  for (int64_t columns : {16, 48, 50, 576}) {
    const at::Tensor x = RandomBf16Tensor({7, columns}) * 3, weight = RandomBf16Tensor({columns});
    ExpectWithinOneStep(RmsNorm(x, weight, 1e-5), ExpectedRmsNorm(x, weight));
  }
}

TEST(RmsNorm, NormsHeadsThatAreASliceOfAWiderMatrix) {
  const at::Tensor weight = RandomBf16Tensor({64}), fused = RandomBf16Tensor({5, 6 * 64});
  const at::Tensor heads = fused.slice(1, 64, 4 * 64).view({5, 3, 64});
  const at::Tensor ours = RmsNorm(heads, weight, 1e-5);
  ExpectWithinOneStep(ours, ExpectedRmsNorm(heads, weight));
  EXPECT_TRUE(ours.is_contiguous());
}

TEST(RmsNorm, KeepsFp32AsItIs) {
  const at::Tensor x = at::randn({3, 48}), weight = at::randn({48});
  EXPECT_TRUE(RmsNorm(x, weight, 1e-5).allclose(ExpectedRmsNorm(x, weight)));
}

TEST(RotateHeads, GivesTheBitsOfRotate) {
  const RotationTable table = MakeRotationTable(InverseFrequencies({.head_dim = 64}),
                                                at::arange(3000, 3009, at::TensorOptions().dtype(at::kLong)));
  const at::Tensor fused = RandomBf16Tensor({9, 8 * 64});
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat})
    for (const at::Tensor& heads : {fused.view({9, 8, 64}), fused.slice(1, 128, 5 * 64).view({9, 3, 64})})
      EXPECT_TRUE(RotateHeads(heads.to(dtype), table).equal(Rotate(heads.to(dtype), table)));
}

TEST(SwiGlu, IsSiluOfTheGateTimesUp) {
  for (int64_t columns : {16, 50, 320}) {
    const at::Tensor gate_up = RandomBf16Tensor({6, 2 * columns}) * 4;
    const at::Tensor gate = gate_up.slice(1, 0, columns).to(at::kFloat);
    const at::Tensor expected = at::silu(gate).to(at::kBFloat16) * gate_up.slice(1, columns);
    ExpectWithinOneStep(SwiGlu(gate_up), expected);
  }
}

TEST(SwiGlu, SaturatesCleanly) {
  at::Tensor gate_up = RandomBf16Tensor({1, 64});
  gate_up.slice(1, 0, 16).fill_(-1e4);
  gate_up.slice(1, 16, 32).fill_(1e4);
  gate_up.slice(1, 32).fill_(2);
  const at::Tensor out = SwiGlu(gate_up).to(at::kFloat);
  EXPECT_EQ(out.slice(1, 0, 16).abs().max().item<float>(), 0);
  EXPECT_NEAR(out.slice(1, 16).max().item<float>(), 2e4, 2e4 / 128);
}

TEST(AddInPlace, RoundsOnce) {
  for (int64_t columns : {32, 33}) {
    at::Tensor x = RandomBf16Tensor({5, columns});
    const at::Tensor y = RandomBf16Tensor({5, columns});
    const at::Tensor expected = (x.to(at::kFloat) + y.to(at::kFloat)).to(at::kBFloat16);
    AddInPlace(x, y);
    EXPECT_TRUE(x.equal(expected));
  }
}

}  // namespace
}  // namespace cacheclip
