#include "common/model/kernels/attention_fp32.h"

#include <string_view>

#include "tests/unit/common/model/kernels/attention_problem.h"
#include "tests/unit/common/model/kernels/rounded_layer.h"

namespace cacheclip {
namespace {

template <typename Cache>
using AttentionKernel = void (*)(const fp32::AttentionArguments&, const Cache&);

std::vector<float> RunOver(const auto& cache, int capacity, const Inputs& in, int num_threads,
                           const auto& attention) {
  std::vector<float> out(in.queries.size(), std::nanf("")), bias = in.slot_bias;
  bias.resize(static_cast<size_t>(capacity), std::nanf(""));
  attention({.queries = in.queries.data(),
             .out = out.data(),
             .limits = in.limits.data(),
             .slot_bias = bias.data(),
             .num_rows = static_cast<int>(in.limits.size()),
             .num_heads = in.shape.num_heads,
             .num_kv_heads = in.shape.num_kv_heads,
             .head_dim = in.shape.head_dim,
             .capacity = capacity,
             .scale = in.scale(),
             .num_threads = num_threads,
             .local = in.local()},
            cache);
  return out;
}

template <AttentionKernel<fp32::PlainCache> kAttention>
std::vector<float> RunPlain(const Inputs& in, int num_threads) {
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
  return RunOver(fp32::PlainCache{keys.data(), values.data()}, static_cast<int>(capacity), in, num_threads,
                 kAttention);
}

template <AttentionKernel<fp32::RoundedCache> kAttention>
std::vector<float> RunRounded(const Inputs& in, int num_threads) {
  RoundedLayer layer(in.shape.num_kv_heads, in.shape.head_dim, in.num_slots);
  std::vector<int32_t> slots(static_cast<size_t>(in.num_slots));
  std::iota(slots.begin(), slots.end(), 0);
  fp32::StoreRounded(layer.view, in.keys.data(), in.values.data(),
                     int64_t{in.shape.num_kv_heads} * in.shape.head_dim, slots.data(), in.num_slots,
                     num_threads);
  return RunOver(layer.view, layer.view.capacity, in, num_threads, kAttention);
}

// It is the scores' rounding that counts: of up to 450 from products of up to 5000, 2^-24 relative, in the
// exponent; in integers from a query and a key of norm 240 and 8, to 1/46340 of it each element.
constexpr Kernel kKernels[] = {
    {"avx2", Isa::kAvx2, false, 1e-4, RunPlain<fp32::AttentionAvx2>},
    {"avx512", Isa::kAvx512, false, 1e-4, RunPlain<fp32::AttentionAvx512>},
    {"avx2_int16", Isa::kAvx2, false, 4e-3, RunRounded<fp32::AttentionAvx2>},
    {"avx512_int16", Isa::kAvx512, false, 4e-3, RunRounded<fp32::AttentionAvx512>}};

INSTANTIATE_TEST_SUITE_P(Fp32, Attention,
                         testing::Combine(testing::ValuesIn(kKernels), testing::ValuesIn(kAttentionShapes)));
INSTANTIATE_TEST_SUITE_P(Fp32, AttentionOfRandomShapes, testing::ValuesIn(kKernels));

TEST(AttentionOfHeadDimensions, AnyThatTheVectorsDivide) {
  for (const Kernel& kernel : kKernels) {
    const int multiple = std::string_view(kernel.name).ends_with("int16") ? fp32::kRoundedHeadDimMultiple
                                                                          : fp32::kHeadDimMultiple;
    for (const int dim : {16, 32, 80, 96, 256})
      for (const int rows : {1, 90})
        if (MachineHas(kernel.isa) && dim % multiple == 0) {
          EXPECT_TRUE(Problem(kernel, {6, 2, dim}, 100, LastRows(100, rows)).Holds(2))
              << kernel.name << " " << dim << " " << rows;
        }
  }
}

}  // namespace
}  // namespace cacheclip
