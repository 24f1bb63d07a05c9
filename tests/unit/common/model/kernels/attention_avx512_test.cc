#include "common/model/kernels/attention_avx512.h"

#include "tests/unit/common/model/kernels/attention_problem.h"

namespace cacheclip {
namespace {

template <bool kInt8Scores>
std::vector<float> RunAvx512(const Inputs& in, int num_threads) {
  using avx512::Bf16;
  const auto narrow = [](const std::vector<float>& values) {
    std::vector<Bf16> out(values.size());
    std::ranges::transform(values, out.begin(), ToBf16);
    return out;
  };
  const PackedLayer layer(in.shape.num_kv_heads, in.shape.head_dim, AlignedCapacity(in.num_slots));
  const auto slice = layer.slice();
  std::vector<int32_t> slots(static_cast<size_t>(in.num_slots));
  std::iota(slots.begin(), slots.end(), 0);
  avx512::StoreRows(slice, narrow(in.keys).data(), narrow(in.values).data(), slots.data(), in.num_slots);
  std::vector<float> bias(static_cast<size_t>(slice.capacity), 0.0f);  // in units of query-key products
  std::ranges::transform(in.slot_bias, bias.begin(), [&](float value) { return value / in.scale(); });
  const std::vector<Bf16> queries = narrow(in.queries);
  std::vector<Bf16> out(queries.size(), 0x7fc0);
  avx512::Attention({.queries = queries.data(),
                     .keys = slice.keys,
                     .values = slice.values,
                     .out = out.data(),
                     .limits = in.limits.data(),
                     .slot_bias = bias.data(),
                     .num_rows = static_cast<int>(in.limits.size()),
                     .num_heads = in.shape.num_heads,
                     .num_kv_heads = in.shape.num_kv_heads,
                     .head_dim = in.shape.head_dim,
                     .capacity = slice.capacity,
                     .scale = in.scale(),
                     .num_threads = num_threads,
                     .local = in.local(),
                     .int8_scores = kInt8Scores});
  std::vector<float> wide(out.size());
  std::ranges::transform(out, wide.begin(), FromBf16);
  return wide;
}

// The kernel rounds each softmax weight and each output to bf16, 2^-9 relative: an error below the bound is
// its own rounding.
constexpr Kernel kKernel = {"avx512bf16", Isa::kAvx512Bf16, true, 6e-3, RunAvx512<false>};

INSTANTIATE_TEST_SUITE_P(Avx512, Attention,
                         testing::Combine(testing::Values(kKernel), testing::ValuesIn(kAttentionShapes)));
INSTANTIATE_TEST_SUITE_P(Avx512, AttentionOfRandomShapes, testing::Values(kKernel));

class Int8Scores : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    if (!MachineHas(Isa::kAvx512Bf16)) GTEST_SKIP() << kNoBf16;
  }

  static constexpr int kSlots = 700;

  // Every third slot's row, with biases, and every other kv head local: what int8 holds exactly if `whole`,
  // integers of which each head's largest is 127.
  static Inputs Make(const Shape& shape, bool whole) {
    Inputs in{.shape = shape, .num_slots = kSlots};
    for (int32_t slot = 1; slot < kSlots; slot += 3) in.limits.push_back(slot);
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    const auto fill = [&](size_t tokens, int heads, float unit, bool rounded) {
      std::vector<float> values;
      for (size_t i = 0; i < tokens * static_cast<size_t>(heads * shape.head_dim); ++i) {
        const float most = i % static_cast<size_t>(shape.head_dim) == 0 ? 127.0f : 126.0f;
        const float integer = std::clamp(std::round(40 * normal(random)), -most, most);
        const bool first = i % static_cast<size_t>(shape.head_dim) == 0;
        values.push_back(rounded ? unit * (first ? most : integer) : FromBf16(ToBf16(normal(random))));
      }
      return values;
    };
    in.queries = fill(in.limits.size(), shape.num_heads, 0x1p-6f, whole);
    in.keys = fill(kSlots, shape.num_kv_heads, 0x1p-7f, whole);
    in.values = fill(kSlots, shape.num_kv_heads, 1, false);
    for (int slot = 0; slot < kSlots; ++slot)
      in.slot_bias.push_back(-0.3f * static_cast<float>(slot % 4) * in.scale());
    for (int head = 0; head < shape.num_kv_heads; ++head) in.local_heads.push_back(head % 2);
    for (const int32_t limit : in.limits)
      in.first_slots.push_back(std::max(0, limit - 200) / kLocalBlock * kLocalBlock);
    return in;
  }

  // Root mean square, relative.
  static double Difference(const std::vector<float>& ours, const std::vector<float>& expected) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < ours.size(); ++i) {
      error += (ours[i] - expected[i]) * (ours[i] - expected[i]);
      norm += expected[i] * expected[i];
    }
    return std::sqrt(error / norm);
  }
};

TEST_P(Int8Scores, AreThoseOfBf16WhereInt8HoldsQueriesAndKeys) {
  const Inputs in = Make(GetParam(), true);
  for (const int threads : {1, 2})
    EXPECT_LT(Difference(RunAvx512<true>(in, threads), RunAvx512<false>(in, threads)), 1e-3);
}

// A score of unit variance is off by 0.01 of it, a weight by 1 % then.
TEST_P(Int8Scores, RoundEachQueryAndKeyByItsOwnScale) {
  Inputs in = Make(GetParam(), false);
  const size_t row = in.queries.size() / in.limits.size(), slot = in.keys.size() / kSlots;
  for (size_t i = 0; i < row; ++i) in.queries[i] *= 0x1p-30f;  // one row next to nothing, one key as well
  for (size_t i = 0; i < slot; ++i) in.keys[5 * slot + i] = 0;
  EXPECT_LT(Difference(RunAvx512<true>(in, 2), RunAvx512<false>(in, 2)), 2e-2);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Int8Scores, testing::ValuesIn(kAttentionShapes));

}  // namespace
}  // namespace cacheclip
