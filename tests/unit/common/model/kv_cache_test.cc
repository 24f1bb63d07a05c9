#include "common/model/kv_cache.h"

#include <gtest/gtest.h>

#include "common/model/kernels/isa.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"

namespace cacheclip {
namespace {

TEST(KvCache, Fp32ModelsGetThePlainCache) {
  const TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.num_layers = 2});
  EXPECT_FALSE(KvCache::IsRounded(*model));
  EXPECT_EQ(KvCache::Create(*model, 10).value()->capacity(), 10);
  EXPECT_EQ(KvCache::Bytes(*model, 10), int64_t{2} * 4 * 2 * 2 * 64 * 10);
}

TEST(KvCache, Bf16ModelsGetThePackedCacheWhereItRuns) {
  if (ActiveIsa() != Isa::kAvx512Bf16) GTEST_SKIP() << "fp32 stands in for bf16 here";
  const TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.num_layers = 2}, ComputeDtype::kBfloat16);
  EXPECT_EQ(KvCache::Create(*model, 64).value()->capacity(), 64);
  EXPECT_EQ(KvCache::Bytes(*model, 64), int64_t{2} * 2 * 2 * 2 * 64 * 64);
}

TEST(KvCache, ReservedBytesCoverWhatTheCacheAllocates) {  // admission counts these
  if (ActiveIsa() != Isa::kAvx512Bf16) GTEST_SKIP() << "fp32 stands in for bf16 here";
  const TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.num_layers = 2}, ComputeDtype::kBfloat16);
  const int32_t capacity = KvCache::Create(*model, 65).value()->capacity();
  EXPECT_GE(KvCache::Bytes(*model, 65), KvCache::Bytes(*model, capacity));
}

TEST(KvCache, MemoryThatCannotBeHadIsResourceExhausted) {
  const TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.num_layers = 2}, ComputeDtype::kBfloat16);
  EXPECT_EQ(KvCache::Create(*model, 1 << 30).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(KvCache, RoundedWhereFp32StandsInForBf16) {
  if (ActiveIsa() < Isa::kAvx2 || ActiveIsa() == Isa::kAvx512Bf16) GTEST_SKIP() << "bf16 stays bf16 here";
  const TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.num_layers = 2}, ComputeDtype::kBfloat16);
  EXPECT_TRUE(KvCache::IsRounded(*model));
  const auto cache = KvCache::Create(*model, 10).value();
  EXPECT_GE(KvCache::Bytes(*model, 10), KvCache::Bytes(*model, cache->capacity()));
  EXPECT_EQ(KvCache::Bytes(*model, 64), int64_t{2} * 2 * 2 * (2 * 64 + 4) * 64);
}

TEST(KvCache, OtherHeadDimensionsFallBackToThePlainCacheInBf16) {
  const TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.num_layers = 2, .head_dim = 16}, ComputeDtype::kBfloat16);
  EXPECT_EQ(KvCache::Create(*model, 10).value()->capacity(), 10);
}

}  // namespace
}  // namespace cacheclip
