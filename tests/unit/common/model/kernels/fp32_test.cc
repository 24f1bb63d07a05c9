// Which of the compiled kernels runs: the result is the active one's, bit by bit.
#include <gtest/gtest.h>

#include <numeric>
#include <type_traits>

#include "common/model/kernels/attention_fp32.h"
#include "common/model/kernels/isa.h"
#include "common/model/kernels/linear.h"
#include "tests/unit/common/model/kernels/packed_matrix.h"
#include "tests/unit/common/model/kernels/rounded_layer.h"

namespace cacheclip {
namespace {

class Fp32Kernels : public testing::Test {
 protected:
  void SetUp() override {
    if (ActiveIsa() < Isa::kAvx2) GTEST_SKIP() << "no fp32 kernel is active";
  }
  const bool wide_ = ActiveIsa() >= Isa::kAvx512;
  std::mt19937 random_{5};
};

TEST_F(Fp32Kernels, LinearIsThatOfTheActiveInstructionSet) {
  constexpr int64_t kRows = 9, kInputs = 700, kOutputs = 32;
  const Packed packed(fp32::Element::kFp32, Random(kOutputs * kInputs, random_), kOutputs, kInputs);
  const std::vector<float> x = Random(kRows * kInputs, random_);
  const auto run = [&](void (*linear)(const fp32::LinearArguments&)) {
    std::vector<float> out(kRows * kOutputs);
    linear({packed.view, x.data(), kInputs, kRows, nullptr, out.data(), kOutputs, kOutputs,
            fp32::Epilogue::kStore, 1});
    return out;
  };
  EXPECT_EQ(run(fp32::Linear), run(wide_ ? fp32::LinearAvx512 : fp32::LinearAvx2));
}

TEST_F(Fp32Kernels, AttentionIsThatOfTheActiveInstructionSet) {
  constexpr int kSlots = 300, kHeads = 2, kDim = 64;
  const std::vector<float> queries = Random(kHeads * kDim, random_), keys = Random(kSlots * kDim, random_),
                           values = Random(kSlots * kDim, random_);
  const RoundedLayer rounded(1, kDim, kSlots);
  std::vector<int32_t> slots(kSlots);
  std::iota(slots.begin(), slots.end(), 0);
  fp32::StoreRounded(rounded.view, keys.data(), values.data(), kDim, slots.data(), kSlots, 1);
  const std::vector<float> bias(static_cast<size_t>(rounded.view.capacity));
  const auto run = [&]<typename Cache>(const Cache& cache,
                                       void (*attention)(const fp32::AttentionArguments&, const Cache&)) {
    std::vector<float> out(kHeads * kDim);
    attention({.queries = queries.data(),
               .out = out.data(),
               .limits = &slots.back(),
               .slot_bias = bias.data(),
               .num_rows = 1,
               .num_heads = kHeads,
               .num_kv_heads = 1,
               .head_dim = kDim,
               .capacity = std::is_same_v<Cache, fp32::RoundedCache> ? rounded.view.capacity : kSlots,
               .scale = 0.125f,
               .num_threads = 1},
              cache);
    return out;
  };
  const auto expect_same = [&](const auto& cache) {
    EXPECT_EQ(run(cache, fp32::Attention),
              wide_ ? run(cache, fp32::AttentionAvx512) : run(cache, fp32::AttentionAvx2));
  };
  expect_same(fp32::PlainCache{keys.data(), values.data()});
  expect_same(rounded.view);
}

}  // namespace
}  // namespace cacheclip
