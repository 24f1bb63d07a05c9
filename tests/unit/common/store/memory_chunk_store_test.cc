#include "common/store/memory_chunk_store.h"

#include <gtest/gtest.h>

#include "tests/support/chunk_store_contract.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

class MemoryHarness : public StoreHarness {
 public:
  explicit MemoryHarness(const StoreLimits& limits)
      : store_({.max_bytes = limits.max_bytes, .max_objects = limits.max_objects, .clock = &clock()}) {}
  ChunkStore& store() override { return store_; }

 private:
  MemoryChunkStore store_;
};

std::unique_ptr<StoreHarness> MakeMemoryHarness(const StoreLimits& limits) {
  return std::make_unique<MemoryHarness>(limits);
}

INSTANTIATE_TEST_SUITE_P(Memory, ChunkStoreContract, testing::Values(StoreHarnessFactory(MakeMemoryHarness)));

TEST(MemoryChunkStore, HandsOutTheVeryChunkThatWasPut) {
  MemoryChunkStore store({});
  const auto chunk = MakeTestChunk(1);
  ASSERT_TRUE(store.Put(chunk).ok());
  const auto hit = store.Get(chunk->key());
  ASSERT_TRUE(hit.ok());
  EXPECT_EQ(hit->chunk, chunk);
  EXPECT_EQ(hit->tier, Tier::kMemory);
}

TEST(MemoryChunkStore, RefusedPutEvictsNothing) {
  const int64_t chunk_bytes = MakeTestChunk(1)->total_bytes();
  FakeClock clock;
  MemoryChunkStore store({.max_bytes = 2 * chunk_bytes, .clock = &clock});
  ASSERT_TRUE(store.Put(MakeTestChunk(1)).ok());
  ASSERT_TRUE(store.Put(MakeTestChunk(2)).ok());
  ASSERT_TRUE(store.Pin(MakeTestChunk(2)->key(), "job", clock.Now() + absl::Hours(1)).ok());
  // Needs both places, one of which is pinned.
  const auto large = MakeTestChunk(TestChunkOptions{.seed = 3, .num_tokens = 12});
  ASSERT_GT(large->total_bytes(), chunk_bytes);
  ASSERT_LE(large->total_bytes(), 2 * chunk_bytes);
  EXPECT_TRUE(absl::IsResourceExhausted(store.Put(large)));
  EXPECT_TRUE(store.Contains(MakeTestChunk(1)->key()).value());
  EXPECT_EQ(store.stats().evictions, 0);
}

TEST(MemoryChunkStore, VisitorMayCallTheStore) {
  MemoryChunkStore store({});
  ASSERT_TRUE(store.Put(MakeTestChunk(1)).ok());
  ASSERT_TRUE(store.Put(MakeTestChunk(2)).ok());
  ASSERT_TRUE(store.ForEach([&](const ChunkKey& key, int64_t) { store.Delete(key).IgnoreError(); }).ok());
  EXPECT_EQ(store.stats().objects, 0);
}

}  // namespace
}  // namespace cacheclip
