#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "common/model/kernels/attention_avx512.h"
#include "tests/unit/common/model/kernels/bf16_arrays.h"

namespace cacheclip {
namespace {

using avx512::Bf16;

struct Shape {
  int rows, heads, kv_heads, slots, dim;
};

class PackedLogits : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    if (!MachineHas(Isa::kAvx512Bf16)) GTEST_SKIP() << kNoBf16;
  }
};

TEST_P(PackedLogits, AreScaledProductsOfEachHeadWithItsKeys) {
  const auto [rows, heads, kv_heads, slots, dim] = GetParam();
  const auto size = [&](int tokens, int of_heads) { return static_cast<size_t>(tokens * of_heads * dim); };
  const auto queries = RandomBf16(size(rows, heads), 1), keys = RandomBf16(size(slots, kv_heads), 2);
  const PackedLayer layer(kv_heads, dim, AlignedCapacity(slots));
  std::vector<int32_t> all(static_cast<size_t>(slots));
  std::iota(all.begin(), all.end(), 0);
  avx512::StoreRows(layer.slice(), keys.data(), keys.data(), all.data(), slots);
  constexpr float kBehind = 7;  // what stands behind the logits stays
  std::vector<float> out(static_cast<size_t>(heads * rows * slots) + 64, kBehind);
  avx512::Logits({.queries = queries.data(),
                  .cache = layer.slice(),
                  .out = out.data(),
                  .num_rows = rows,
                  .num_heads = heads,
                  .num_slots = slots,
                  .scale = 0.25f,
                  .num_threads = 2});
  const float* ours = out.data();
  for (int head = 0; head < heads; ++head)
    for (int row = 0; row < rows; ++row)
      for (int slot = 0; slot < slots; ++slot, ++ours) {
        const Bf16* const query = queries.data() + size(row, heads) + head * dim;
        const Bf16* const key = keys.data() + size(slot, kv_heads) + head / (heads / kv_heads) * dim;
        double sum = 0, of_sizes = 0;
        for (int i = 0; i < dim; ++i) {
          const double product = double{FromBf16(query[i])} * FromBf16(key[i]);
          sum += product, of_sizes += std::abs(product);
        }
        ASSERT_NEAR(*ours, sum / 4, 1e-6 * of_sizes) << head << " " << row << " " << slot;
      }
  for (; ours != out.data() + out.size(); ++ours) ASSERT_EQ(*ours, kBehind);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PackedLogits,
                         testing::Values(Shape{1, 1, 1, 1, 64}, Shape{4, 2, 2, 64, 64},
                                         Shape{13, 9, 3, 200, 64}, Shape{5, 4, 2, 129, 128},
                                         Shape{8, 3, 1, 63, 128}));

}  // namespace
}  // namespace cacheclip
