#include "common/model/kernels/attention_avx512.h"

#include "tests/unit/common/model/kernels/attention_problem.h"

namespace cacheclip {
namespace {

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
                     .local = in.local()});
  std::vector<float> wide(out.size());
  std::ranges::transform(out, wide.begin(), FromBf16);
  return wide;
}

// The kernel rounds each softmax weight and each output to bf16, 2^-9 relative: an error below the bound is
// its own rounding.
constexpr Kernel kKernel = {"avx512bf16", Isa::kAvx512Bf16, true, 6e-3, RunAvx512};

INSTANTIATE_TEST_SUITE_P(Avx512, Attention,
                         testing::Combine(testing::Values(kKernel), testing::ValuesIn(kAttentionShapes)));
INSTANTIATE_TEST_SUITE_P(Avx512, AttentionOfRandomShapes, testing::Values(kKernel));

}  // namespace
}  // namespace cacheclip
