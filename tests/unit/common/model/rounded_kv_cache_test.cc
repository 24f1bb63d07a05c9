// The rounded cache against the plain one in fp32. Attention may differ by the rounding of queries, keys and
// weights, which is far below that of bf16.
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "common/model/kernels/isa.h"
#include "common/model/kernels/rounded_cache.h"
#include "tests/unit/common/model/kv_cache_attention.h"
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

TEST_P(RoundedKvCache, AddsToKeysBeforeRope) {
  const auto cache = Make(shape_, 200);
  EXPECT_TRUE(AddsBeforeRope(*cache, shape_, {0, 1, 2, 15, 16, 33, 64, 65, 199}, at::kFloat, 3 * kRounding));
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
  ExpectAttendsAsThePlainCache(Make, GetParam(), at::kFloat, 1e-3);
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
