// The packed cache against the plain one in bf16. Attention may differ by the packed kernel's rounding of
// softmax weights to bf16 (2^-9 relative) and the output's own: root mean square below 6e-3 of the output.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "common/model/kernels/isa.h"
#include "tests/unit/common/model/kv_cache_contract.h"

namespace cacheclip {
namespace {

class PackedCache : public testing::TestWithParam<int64_t> {  // head dimension
 protected:
  void SetUp() override {
    if (!MachineHas(Isa::kAvx512Bf16)) GTEST_SKIP() << "this CPU lacks AVX-512 BF16";
  }
  static std::unique_ptr<KvCache> Make(const CacheShape& shape, int32_t capacity) {
    return MakePackedKvCache(CacheConfig(shape), 2, capacity).value();
  }
  const CacheShape shape_ = {6, 3, GetParam()};
};

TEST_P(PackedCache, ReadsBackExactly) {
  const auto cache = Make(shape_, 200);
  EXPECT_TRUE(RowsReadBack(*cache, shape_, Neighbours(3, 150), at::kBFloat16));
  EXPECT_TRUE(RowsReadBack(*cache, shape_, {0, 1, 2, 15, 16, 33, 64, 65, 199}, at::kBFloat16));
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

TEST_P(PackedCache, AttendsAsThePlainCacheDoesForRandomShapesAndSlots) {
  std::mt19937 random(5);
  const auto pick = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int round = 0; round < 25; ++round) {
    const int kv_heads = pick(1, 3), slots_used = pick(1, 350);
    const CacheShape shape{kv_heads * pick(1, 5), kv_heads, GetParam()};
    const auto packed = Make(shape, slots_used);
    const auto plain = MakePlainKvCache(CacheConfig(shape), 2, slots_used, at::kBFloat16, at::kCPU);
    const at::Tensor keys = RandomRows(slots_used, kv_heads, GetParam()),
                     values = RandomRows(slots_used, kv_heads, GetParam());
    std::vector<int32_t> slots = Neighbours(0, slots_used);
    for (KvCache* cache : {packed.get(), plain.get()}) cache->Store(0, keys, values, slots);
    std::shuffle(slots.begin(), slots.end(), random);
    slots.resize(static_cast<size_t>(pick(1, slots_used)));
    std::sort(slots.begin(), slots.end());
    const at::Tensor queries = RandomRows(static_cast<int64_t>(slots.size()), shape.num_heads, GetParam());
    const int begin = pick(0, slots_used), end = pick(begin, slots_used);
    for (KvCache* cache : {packed.get(), plain.get()}) {
      cache->SetAttentionWeights(begin, std::vector<float>(static_cast<size_t>(end - begin), 0.3f));
      const int middle = (begin + end) / 2;
      cache->SetAttentionWeights(middle, std::vector<float>(static_cast<size_t>(end - middle), 1.0f));
    }
    const at::Tensor ours = packed->Attend(0, queries, slots).to(at::kFloat);
    const at::Tensor theirs = plain->Attend(0, queries, slots).to(at::kFloat);
    EXPECT_LT(((ours - theirs).norm() / theirs.norm()).item<double>(), 6e-3) << "round " << round;
  }
}

TEST_P(PackedCache, CapacityIsRoundedUpToWholeBlocks) {
  EXPECT_EQ(Make(shape_, 1)->capacity(), 64);
  EXPECT_EQ(Make(shape_, 64)->capacity(), 64);
  EXPECT_EQ(Make(shape_, 65)->capacity(), 128);
}

TEST_P(PackedCache, MemoryThatCannotBeHadIsResourceExhausted) {
  const CacheShape huge{1 << 20, 1 << 20, GetParam()};
  EXPECT_EQ(MakePackedKvCache(CacheConfig(huge), 512, 1 << 24).status().code(),
            absl::StatusCode::kResourceExhausted);
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
