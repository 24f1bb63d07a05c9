#include "common/model/kernels/attention_fp32.h"

#include "tests/unit/common/model/kernels/attention_problem.h"

namespace cacheclip {
namespace {

template <void (*kAttention)(const fp32::AttentionArguments&)>
std::vector<float> Run(const Inputs& in, int num_threads) {
  const size_t heads = static_cast<size_t>(in.shape.num_kv_heads),
               dim = static_cast<size_t>(in.shape.head_dim), slots = static_cast<size_t>(in.num_slots),
               capacity = slots + 3;
  const auto by_head = [&](const std::vector<float>& rows) {
    std::vector<float> out(heads * capacity * dim, std::nanf(""));  // slots that nobody wrote are never read
    for (size_t slot = 0; slot < slots; ++slot)
      for (size_t head = 0; head < heads; ++head)
        std::copy_n(&rows[(slot * heads + head) * dim], dim, &out[(head * capacity + slot) * dim]);
    return out;
  };
  const std::vector<float> keys = by_head(in.keys), values = by_head(in.values);
  std::vector<float> out(in.queries.size(), std::nanf(""));
  kAttention({.queries = in.queries.data(),
              .keys = keys.data(),
              .values = values.data(),
              .out = out.data(),
              .limits = in.limits.data(),
              .slot_bias = in.slot_bias.data(),
              .num_rows = static_cast<int>(in.limits.size()),
              .num_heads = in.shape.num_heads,
              .num_kv_heads = in.shape.num_kv_heads,
              .head_dim = in.shape.head_dim,
              .capacity = static_cast<int>(capacity),
              .scale = in.scale(),
              .num_threads = num_threads});
  return out;
}

// It is the scores' rounding that counts: of up to 450 from products of up to 5000, 2^-24 relative, in the
// exponent.
constexpr Kernel kKernels[] = {{"avx2", Isa::kAvx2, false, 1e-4, Run<fp32::AttentionAvx2>},
                               {"avx512", Isa::kAvx512, false, 1e-4, Run<fp32::AttentionAvx512>}};

INSTANTIATE_TEST_SUITE_P(Fp32, Attention,
                         testing::Combine(testing::ValuesIn(kKernels), testing::ValuesIn(kAttentionShapes)));
INSTANTIATE_TEST_SUITE_P(Fp32, AttentionOfRandomShapes, testing::ValuesIn(kKernels));

TEST(AttentionOfHeadDimensions, AnyMultipleOfSixteenInFp32) {
  for (const Kernel& kernel : kKernels)
    for (const int dim : {16, 32, 80, 96, 256})
      for (const int rows : {1, 90})
        if (MachineHas(kernel.isa))
          EXPECT_TRUE(Problem(kernel, {6, 2, dim}, 100, LastRows(100, rows)).Holds(2))
              << kernel.name << " " << dim << " " << rows;
}

}  // namespace
}  // namespace cacheclip
