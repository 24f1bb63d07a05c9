#include "common/store/memory_chunk_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

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

class MemoryQuotas : public testing::Test {
 protected:
  const int64_t chunk_bytes_ = MakeTestChunk(1)->total_bytes();
  FakeClock clock_;
  MemoryChunkStore store_{{.max_bytes = 6 * chunk_bytes_,
                           .quotas = {.max_bytes = {{"small", 2 * chunk_bytes_}}},
                           .clock = &clock_}};
  absl::Status Put(int seed, std::string_view group) { return store_.PutInGroup(MakeTestChunk(seed), group); }
  bool Holds(int seed) { return store_.Contains(MakeTestChunk(seed)->key()).value(); }
};

TEST_F(MemoryQuotas, AGroupOverItsQuotaLosesItsOwnOldest) {
  ASSERT_TRUE(Put(9, "other").ok());
  for (int seed : {1, 2, 3}) ASSERT_TRUE(Put(seed, "small").ok());
  EXPECT_FALSE(Holds(1));
  for (int seed : {9, 2, 3}) EXPECT_TRUE(Holds(seed)) << seed;
  EXPECT_EQ(store_.group_bytes("small"), 2 * chunk_bytes_);
  EXPECT_EQ(store_.stats().evictions, 1);
  ASSERT_TRUE(store_.Delete(MakeTestChunk(2)->key()).ok());
  EXPECT_EQ(store_.group_bytes("small"), chunk_bytes_);
}

TEST_F(MemoryQuotas, PinnedChunksOfAFullGroupRefuseOthersOfIt) {
  for (int seed : {1, 2}) {
    ASSERT_TRUE(Put(seed, "small").ok());
    ASSERT_TRUE(store_.Pin(MakeTestChunk(seed)->key(), "job", clock_.Now() + absl::Hours(1)).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(Put(3, "small")));
  EXPECT_TRUE(Put(4, "other").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(
      store_.PutInGroup(MakeTestChunk(TestChunkOptions{.seed = 5, .num_tokens = 40}), "small")));
}

TEST_F(MemoryQuotas, TheTiersOwnBoundHoldsBesideTheGroups) {
  for (int seed = 1; seed <= 20; ++seed) {
    ASSERT_TRUE(Put(seed, seed % 3 == 0 ? "small" : "large").ok());
    EXPECT_LE(store_.stats().bytes, 6 * chunk_bytes_);
    EXPECT_LE(store_.group_bytes("small"), 2 * chunk_bytes_);
    EXPECT_TRUE(Holds(seed));
  }
}

TEST_F(MemoryQuotas, BoundsHoldAtEveryMomentUnderConcurrentLoad) {
  std::atomic<int> over{0};
  std::atomic<bool> done{false};
  std::thread observer([&] {
    while (!done)
      if (store_.stats().bytes > 6 * chunk_bytes_ || store_.group_bytes("small") > 2 * chunk_bytes_) ++over;
  });
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 200; ++i) {
        const int seed = 1 + (thread * 11 + i * 7) % 30;
        if (i % 5 == 4)
          store_.Delete(MakeTestChunk(seed)->key()).IgnoreError();
        else
          EXPECT_TRUE(Put(seed, seed % 2 == 0 ? "small" : "").ok());
      }
    });
  for (std::thread& thread : threads) thread.join();
  done = true;
  observer.join();
  EXPECT_EQ(over, 0);
}

TEST(MemoryWatermarks, EvictsDownToTheLowMarkButNoPins) {
  const int64_t chunk_bytes = MakeTestChunk(1)->total_bytes();
  MemoryChunkStore store({.max_bytes = 10 * chunk_bytes, .watermarks = {.high = 0.8, .low = 0.5}});
  for (int seed = 1; seed <= 8; ++seed) ASSERT_TRUE(store.Put(MakeTestChunk(seed)).ok());
  store.EvictToLowWater();
  EXPECT_EQ(store.stats().objects, 8) << "not above the high mark";
  EXPECT_FALSE(store.HasRoomFor(chunk_bytes)) << "above the low mark";
  ASSERT_TRUE(store.Put(MakeTestChunk(9)).ok());
  ASSERT_TRUE(store.Pin(MakeTestChunk(1)->key(), "job", absl::Now() + absl::Hours(1)).ok());
  store.EvictToLowWater();
  EXPECT_EQ(store.stats().objects, 5);
  EXPECT_TRUE(store.Contains(MakeTestChunk(1)->key()).value());
  EXPECT_TRUE(store.Contains(MakeTestChunk(9)->key()).value());
  EXPECT_EQ(store.stats().evictions, 4);
}

}  // namespace
}  // namespace cacheclip
