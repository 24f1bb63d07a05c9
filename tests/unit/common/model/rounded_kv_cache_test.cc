// The rounded cache against the plain one in fp32. Attention may differ by the rounding of queries, keys and
// weights, which is far below that of bf16.
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "common/model/kernels/isa.h"
#include "common/model/kernels/rounded_cache.h"
#include "tests/unit/common/model/kv_cache_contract.h"

namespace cacheclip {
namespace {

// Half a unit of a vector, relative to its norm: 1/46340 of it, or 1/32767 of its largest element.
constexpr double kRounding = 1.6e-5;

class RoundedKvCache : public testing::TestWithParam<int64_t> {  // head dimension
 protected:
  void SetUp() override {
    if (ActiveIsa() < Isa::kAvx2) GTEST_SKIP() << "no kernel is active";
  }
  static std::unique_ptr<KvCache> Make(const CacheShape& shape, int32_t capacity) {
    return MakeRoundedKvCache(CacheConfig(shape), 2, capacity);
  }
  const CacheShape shape_ = {6, 3, GetParam()};
};

TEST_P(RoundedKvCache, ReadsBackWithinItsRounding) {
  const auto cache = Make(shape_, 200);
  EXPECT_TRUE(RowsReadBack(*cache, shape_, Neighbours(3, 150), at::kFloat, kRounding));
  EXPECT_TRUE(RowsReadBack(*cache, shape_, {0, 1, 2, 15, 16, 33, 64, 65, 199}, at::kFloat, kRounding));
}

TEST_P(RoundedKvCache, PlaceEqualsRotateThenStoreBitForBit) {
  for (const int32_t first : {0, 1, 15, 16, 37}) {
    const auto placed = Make(shape_, 128), stored = Make(shape_, 128);
    const at::Tensor zeros = at::zeros({128, 3, GetParam()});  // slots that nobody wrote hold anything
    for (KvCache* const cache : {placed.get(), stored.get()})
      cache->Store(0, zeros, zeros, Neighbours(0, 128));
    EXPECT_TRUE(PlaceEqualsRotateThenStore(*placed, *stored, shape_, first, 90, at::kFloat)) << first;
  }
}

TEST_P(RoundedKvCache, PlaceInt8RoundsOnce) {
  for (const int32_t first : {0, 1, 37})
    EXPECT_TRUE(
        PlaceInt8EqualsDequantiseRotateRound(*Make(shape_, 128), shape_, first, 90, at::kFloat, kRounding))
        << first;
}

TEST_P(RoundedKvCache, AttendsAsThePlainCacheDoesForRandomShapesAndSlots) {
  std::mt19937 random(5);
  const auto pick = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int round = 0; round < 25; ++round) {
    const int kv_heads = pick(1, 3), slots_used = pick(1, 350);
    const CacheShape shape{kv_heads * pick(1, 5), kv_heads, GetParam()};
    const auto rounded = Make(shape, slots_used);
    const auto plain = MakePlainKvCache(CacheConfig(shape), 2, slots_used, at::kFloat, at::kCPU);
    const at::Tensor keys = RandomRows(slots_used, kv_heads, GetParam(), at::kFloat),
                     values = RandomRows(slots_used, kv_heads, GetParam(), at::kFloat);
    std::vector<int32_t> slots = Neighbours(0, slots_used);
    for (KvCache* cache : {rounded.get(), plain.get()}) cache->Store(1, keys, values, slots);
    std::shuffle(slots.begin(), slots.end(), random);
    slots.resize(static_cast<size_t>(pick(1, slots_used)));
    std::sort(slots.begin(), slots.end());
    const at::Tensor queries =
        RandomRows(static_cast<int64_t>(slots.size()), shape.num_heads, GetParam(), at::kFloat);
    const int begin = pick(0, slots_used), end = pick(begin, slots_used);
    for (KvCache* cache : {rounded.get(), plain.get()})
      cache->SetAttentionWeights(begin, std::vector<float>(static_cast<size_t>(end - begin), 0.3f));
    const at::Tensor ours = rounded->Attend(1, queries, slots), theirs = plain->Attend(1, queries, slots);
    EXPECT_LT(((ours - theirs).norm() / theirs.norm()).item<double>(), 1e-3) << "round " << round;
  }
}

TEST_P(RoundedKvCache, CapacityIsRoundedUpToWholeVectors) {
  EXPECT_EQ(Make(shape_, 1)->capacity(), fp32::kRoundedSlotAlignment);
  EXPECT_EQ(Make(shape_, fp32::kRoundedSlotAlignment + 1)->capacity(), 2 * fp32::kRoundedSlotAlignment);
}

INSTANTIATE_TEST_SUITE_P(HeadDimensions, RoundedKvCache, testing::Values(32, 64, 128));

TEST(RoundedKvCacheSupports, HeadDimensionsThatTheVectorsDivideWhereTheKernelRuns) {
  const bool active = ActiveIsa() >= Isa::kAvx2;
  for (const int64_t dim : {32, 64, 96, 128, 256})
    EXPECT_EQ(RoundedKvCacheSupports(CacheConfig({4, 2, dim})), active);
  for (const int64_t dim : {16, 80, 288}) EXPECT_FALSE(RoundedKvCacheSupports(CacheConfig({4, 2, dim})));
}

}  // namespace
}  // namespace cacheclip
