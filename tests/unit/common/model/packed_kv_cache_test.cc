// The packed cache against the plain one in bf16. Attention may differ by the packed kernel's rounding of
// softmax weights to bf16 (2^-9 relative) and the output's own: root mean square below 6e-3 of the output.
#include <gtest/gtest.h>

#include "common/model/kernels/isa.h"
#include "tests/unit/common/model/kv_cache_attention.h"
#include "tests/unit/common/model/kv_cache_contract.h"

namespace cacheclip {
namespace {

class PackedCache : public testing::TestWithParam<int64_t> {  // head dimension
 protected:
  void SetUp() override {
    if (!MachineHas(Isa::kAvx512Bf16)) GTEST_SKIP() << "this CPU lacks AVX-512 BF16";
  }
  static std::unique_ptr<KvCache> Make(const CacheShape& shape, int32_t capacity) {
    return MakePackedKvCache(CacheConfig(shape), 2, capacity);
  }
  const CacheShape shape_ = {6, 3, GetParam()};
};

TEST_P(PackedCache, ReadsBackExactly) {
  const auto cache = Make(shape_, 200);
  EXPECT_TRUE(RowsReadBack(*cache, shape_, Neighbours(3, 150), at::kBFloat16));
  EXPECT_TRUE(RowsReadBack(*cache, shape_, {0, 1, 2, 15, 16, 33, 64, 65, 199}, at::kBFloat16));
}

TEST_P(PackedCache, AddsToKeysBeforeRope) {
  const auto cache = Make(shape_, 200);
  EXPECT_TRUE(AddsBeforeRope(*cache, shape_, {0, 1, 2, 15, 16, 33, 64, 65, 199}, at::kBFloat16, 4e-3));
}

TEST_P(PackedCache, PlaceEqualsRotateThenStoreBitForBit) {
  for (int32_t first : {0, 1, 15, 16, 37})
    for (int32_t count : {1, 2, 16, 90})
      EXPECT_TRUE(PlaceEqualsRotateThenStore(*Make(shape_, 128), *Make(shape_, 128), shape_, first, count,
                                             at::kBFloat16))
          << first << " " << count;
}

TEST_P(PackedCache, PlaceInt8RoundsOnce) {
  for (int32_t first : {0, 1, 15, 16, 37})
    for (int32_t count : {1, 2, 16, 90})
      EXPECT_TRUE(
          PlaceInt8EqualsDequantiseRotateRound(*Make(shape_, 128), shape_, first, count, at::kBFloat16))
          << first << " " << count;
}

TEST_P(PackedCache, HoldsTheBitsOfThePlainCacheForInt8Too) {
  const auto packed = Make(shape_, 128),
             plain = MakePlainKvCache(CacheConfig(shape_), 2, 128, at::kBFloat16, at::kCPU);
  const Int8Rows rows = RandomInt8Rows(100, shape_);
  const RotationTable rotation = RotationAt(CacheConfig(shape_), 4000, 100);
  for (KvCache* cache : {packed.get(), plain.get()}) cache->PlaceInt8(1, rows, 11, rotation);
  EXPECT_TRUE(packed->Keys(1, 0, 128).equal(plain->Keys(1, 0, 128)));
  EXPECT_TRUE(packed->Values(1, 0, 128).equal(plain->Values(1, 0, 128)));
  EXPECT_EQ(packed->Keys(0, 0, 128).abs().max().item<float>(), 0);  // the other layer
}

TEST_P(PackedCache, HoldsTheBitsOfThePlainCache) {
  const auto packed = Make(shape_, 128),
             plain = MakePlainKvCache(CacheConfig(shape_), 2, 128, at::kBFloat16, at::kCPU);
  const at::Tensor keys = RandomRows(100, 3, GetParam()), values = RandomRows(100, 3, GetParam());
  const RotationTable rotation = RotationAt(CacheConfig(shape_), 4000, 100);
  for (KvCache* cache : {packed.get(), plain.get()}) cache->Place(1, keys, values, 11, rotation);
  EXPECT_TRUE(packed->Keys(1, 11, 111).equal(plain->Keys(1, 11, 111)));
  EXPECT_TRUE(packed->Values(1, 11, 111).equal(plain->Values(1, 11, 111)));
  EXPECT_EQ(packed->Keys(0, 0, 128).abs().max().item<float>(), 0);  // the other layer
}

TEST_P(PackedCache, LogitsAreThoseOfThePlainCache) {
  const auto packed = Make(shape_, 128),
             plain = MakePlainKvCache(CacheConfig(shape_), 2, 128, at::kBFloat16, at::kCPU);
  const at::Tensor keys = RandomRows(100, shape_.num_kv_heads, GetParam());
  for (KvCache* cache : {packed.get(), plain.get()}) cache->Store(1, keys, keys, Neighbours(0, 100));
  const at::Tensor queries = RandomRows(7, shape_.num_heads, GetParam());
  const at::Tensor expected = plain->Logits(1, queries, 90);
  EXPECT_TRUE(AreNear(packed->Logits(1, queries, 90), expected, 1e-6));
}

TEST_P(PackedCache, AttendsAsThePlainCacheDoesForRandomShapesAndSlots) {
  ExpectAttendsAsThePlainCache(Make, GetParam(), at::kBFloat16, 6e-3);
}

TEST_P(PackedCache, CapacityIsRoundedUpToWholeBlocks) {
  EXPECT_EQ(Make(shape_, 1)->capacity(), 64);
  EXPECT_EQ(Make(shape_, 64)->capacity(), 64);
  EXPECT_EQ(Make(shape_, 65)->capacity(), 128);
}

TEST_P(PackedCache, SlotsThatNobodyWroteAreZeroInMemoryThatWasUsedBefore) {
  const auto is_zero = [](const KvCache& cache) {
    return cache.Keys(1, 0, 4096).abs().max().item<float>() == 0 &&
           cache.Values(1, 0, 4096).abs().max().item<float>() == 0;
  };
  const at::Tensor ones = at::ones({4096, shape_.num_kv_heads, shape_.head_dim}, at::kBFloat16);
  for (int round = 0; round < 4; ++round) {
    const auto cache = Make(shape_, 4096);
    EXPECT_TRUE(is_zero(*cache)) << round;
    cache->Store(1, ones, ones, Neighbours(0, 4096));
    EXPECT_FALSE(is_zero(*cache));
  }
}

INSTANTIATE_TEST_SUITE_P(HeadDimensions, PackedCache, testing::Values(64, 128));

TEST(PackedKvCacheSupports, HeadDimensions64And128WhereTheKernelRuns) {
  const bool active = ActiveIsa() == Isa::kAvx512Bf16;
  EXPECT_EQ(PackedKvCacheSupports(CacheConfig({4, 2, 64})), active);
  EXPECT_EQ(PackedKvCacheSupports(CacheConfig({4, 2, 128})), active);
  for (int64_t dim : {32, 80, 96, 256}) EXPECT_FALSE(PackedKvCacheSupports(CacheConfig({4, 2, dim})));
}

}  // namespace
}  // namespace cacheclip
