#include "tests/support/chunk_store_contract.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {

ChunkStore& ChunkStoreContract::OpenForChunks(int64_t num_chunks) {
  return Open({.max_bytes = num_chunks * MakeTestChunk(1)->total_bytes(), .max_objects = 1000});
}

absl::Status ChunkStoreContract::PutLater(int32_t seed) {
  clock().Advance(absl::Seconds(1));
  return harness().store().Put(MakeTestChunk(seed));
}

ChunkStoreContract::Held ChunkStoreContract::WhatIsHeld() {
  if (harness().has_budget()) return {harness().store().stats().objects, harness().store().stats().bytes};
  Held held;
  const absl::Status visited = harness().store().ForEach([&](const ChunkKey&, int64_t bytes) {
    ++held.objects;
    held.bytes += bytes;
  });
  EXPECT_TRUE(visited.ok()) << visited;
  return held;
}

namespace {

#define CACHECLIP_REQUIRE_BUDGET() \
  if (!harness().has_budget()) GTEST_SKIP() << "the server behind this tier decides what is evicted"

ChunkKey KeyOf(int32_t seed) { return MakeTestChunk(seed)->key(); }

bool Holds(ChunkStore& store, int32_t seed) { return store.Contains(KeyOf(seed)).value(); }

TEST_P(ChunkStoreContract, AbsentKeyIsAMiss) {
  ChunkStore& store = Open();
  EXPECT_TRUE(absl::IsNotFound(store.Get(KeyOf(1)).status()));
  EXPECT_FALSE(Holds(store, 1));
  EXPECT_EQ(store.stats().misses, 1);
  EXPECT_EQ(store.stats().hits, 0);
}

TEST_P(ChunkStoreContract, ReturnsTheBytesThatWerePut) {
  ChunkStore& store = Open();
  const auto chunk = MakeTestChunk(7);
  ASSERT_TRUE(store.Put(chunk).ok());
  const auto hit = store.Get(chunk->key());
  ASSERT_TRUE(hit.ok()) << hit.status();
  EXPECT_TRUE(std::ranges::equal(hit->chunk->image(), chunk->image()));
  EXPECT_EQ(hit->chunk->header(), chunk->header());
  EXPECT_NE(TierName(hit->tier), "computed");
  EXPECT_EQ(store.stats().hits, 1);
}

TEST_P(ChunkStoreContract, ChunkThatArrivesEndsWithTheSameBytes) {
  ChunkStore& store = Open();
  const auto chunk = MakeTestChunk(7);
  ASSERT_TRUE(store.Put(chunk).ok());
  const auto hit = store.Get(chunk->key(), {.accept_arriving = true});
  ASSERT_TRUE(hit.ok()) << hit.status();
  EXPECT_EQ(hit->chunk->header(), chunk->header()) << "header, ids and shape are there at once";
  if (hit->arrival != nullptr) {
    ASSERT_TRUE(hit->arrival->WaitForAll(absl::InfiniteFuture()).ok());
  }
  EXPECT_TRUE(std::ranges::equal(hit->chunk->image(), chunk->image()));
}

TEST_P(ChunkStoreContract, SecondPutChangesNothing) {
  ChunkStore& store = Open();
  ASSERT_TRUE(PutLater(1).ok());
  ASSERT_TRUE(PutLater(1).ok());
  EXPECT_EQ(WhatIsHeld(), (Held{1, MakeTestChunk(1)->total_bytes()}));
  EXPECT_EQ(store.stats().puts, 1);
}

TEST_P(ChunkStoreContract, DeleteHoldsAtOnceAlsoForPinnedChunks) {
  ChunkStore& store = Open();
  ASSERT_TRUE(PutLater(1).ok());
  ASSERT_TRUE(store.Pin(KeyOf(1), "job", In(absl::Hours(1))).ok());
  ASSERT_TRUE(store.Delete(KeyOf(1)).ok());
  EXPECT_TRUE(absl::IsNotFound(store.Get(KeyOf(1)).status()));
  EXPECT_EQ(WhatIsHeld(), Held{});
  EXPECT_TRUE(store.Delete(KeyOf(1)).ok()) << "deleting what is not there is no error";
}

TEST_P(ChunkStoreContract, EvictsWhatWasUsedLongestAgo) {
  ChunkStore& store = OpenForChunks(3);
  CACHECLIP_REQUIRE_BUDGET();
  for (int seed : {1, 2, 3}) ASSERT_TRUE(PutLater(seed).ok());
  clock().Advance(absl::Seconds(1));
  ASSERT_TRUE(store.Get(KeyOf(1)).ok());
  ASSERT_TRUE(PutLater(4).ok());
  EXPECT_FALSE(Holds(store, 2));
  for (int seed : {1, 3, 4}) EXPECT_TRUE(Holds(store, seed)) << seed;
  EXPECT_EQ(store.stats().evictions, 1);
}

TEST_P(ChunkStoreContract, MarkUsedCountsAsAUse) {
  ChunkStore& store = OpenForChunks(3);
  CACHECLIP_REQUIRE_BUDGET();
  for (int seed : {1, 2, 3}) ASSERT_TRUE(PutLater(seed).ok());
  clock().Advance(absl::Seconds(1));
  store.MarkUsed(KeyOf(1));
  ASSERT_TRUE(PutLater(4).ok());
  EXPECT_TRUE(Holds(store, 1));
  EXPECT_TRUE(store.Get(KeyOf(1)).ok());
}

TEST_P(ChunkStoreContract, ObjectBudgetHolds) {
  ChunkStore& store = Open({.max_objects = 2});
  CACHECLIP_REQUIRE_BUDGET();
  for (int seed = 1; seed <= 5; ++seed) {
    ASSERT_TRUE(PutLater(seed).ok());
    EXPECT_LE(store.stats().objects, 2);
  }
  EXPECT_TRUE(Holds(store, 5));
}

TEST_P(ChunkStoreContract, RefusesAChunkLargerThanTheBudget) {
  ChunkStore& store = OpenForChunks(1);
  CACHECLIP_REQUIRE_BUDGET();
  const auto large = MakeTestChunk(TestChunkOptions{.seed = 9, .num_tokens = 50});
  EXPECT_TRUE(absl::IsResourceExhausted(store.Put(large)));
  EXPECT_FALSE(Holds(store, 9));
  EXPECT_TRUE(absl::IsNotFound(store.Get(large->key()).status()));
  EXPECT_EQ(store.stats().bytes, 0);
  EXPECT_EQ(store.stats().rejected_puts, 1);
}

TEST_P(ChunkStoreContract, PinnedChunkIsNotEvicted) {
  ChunkStore& store = OpenForChunks(3);
  CACHECLIP_REQUIRE_BUDGET();
  ASSERT_TRUE(PutLater(1).ok());
  ASSERT_TRUE(store.Pin(KeyOf(1), "job", In(absl::Hours(1))).ok());
  for (int seed = 2; seed <= 8; ++seed) ASSERT_TRUE(PutLater(seed).ok());
  EXPECT_TRUE(store.Get(KeyOf(1)).ok());
}

TEST_P(ChunkStoreContract, StoreFullOfPinsRefusesAndKeepsItsBudget) {
  ChunkStore& store = OpenForChunks(3);
  CACHECLIP_REQUIRE_BUDGET();
  for (int seed : {1, 2, 3}) {
    ASSERT_TRUE(PutLater(seed).ok());
    ASSERT_TRUE(store.Pin(KeyOf(seed), "job", In(absl::Hours(1))).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(PutLater(4)));
  EXPECT_EQ(store.stats().objects, 3);
  EXPECT_EQ(store.stats().bytes, 3 * MakeTestChunk(1)->total_bytes());
  for (int seed : {1, 2, 3}) EXPECT_TRUE(store.Get(KeyOf(seed)).ok()) << seed;
}

TEST_P(ChunkStoreContract, PinsExpire) {
  ChunkStore& store = OpenForChunks(1);
  CACHECLIP_REQUIRE_BUDGET();
  ASSERT_TRUE(PutLater(1).ok());
  ASSERT_TRUE(store.Pin(KeyOf(1), "job", In(absl::Hours(1))).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(PutLater(2)));
  clock().Advance(absl::Hours(2));
  EXPECT_TRUE(PutLater(3).ok());
  EXPECT_EQ(store.stats().objects, 1);
}

TEST_P(ChunkStoreContract, EveryOwnersPinHoldsByItself) {
  ChunkStore& store = OpenForChunks(1);
  CACHECLIP_REQUIRE_BUDGET();
  ASSERT_TRUE(PutLater(1).ok());
  ASSERT_TRUE(store.Pin(KeyOf(1), "first", In(absl::Hours(1))).ok());
  ASSERT_TRUE(store.Pin(KeyOf(1), "second", In(absl::Hours(1))).ok());
  ASSERT_TRUE(store.Unpin(KeyOf(1), "first").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(PutLater(2)));
  ASSERT_TRUE(store.Unpin(KeyOf(1), "second").ok());
  EXPECT_TRUE(PutLater(3).ok());
  EXPECT_TRUE(store.Unpin(KeyOf(1), "nobody").ok());
}

TEST_P(ChunkStoreContract, PinningAgainReplacesTheExpiry) {
  ChunkStore& store = OpenForChunks(1);
  CACHECLIP_REQUIRE_BUDGET();
  ASSERT_TRUE(PutLater(1).ok());
  ASSERT_TRUE(store.Pin(KeyOf(1), "job", In(absl::Hours(1))).ok());
  ASSERT_TRUE(store.Pin(KeyOf(1), "job", In(absl::Hours(3))).ok());
  clock().Advance(absl::Hours(2));
  EXPECT_TRUE(absl::IsResourceExhausted(PutLater(2)));
}

TEST_P(ChunkStoreContract, RefusesPinsOutOfBounds) {
  ChunkStore& store = Open();
  EXPECT_TRUE(absl::IsNotFound(store.Pin(KeyOf(1), "job", In(absl::Hours(1)))));
  ASSERT_TRUE(PutLater(1).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(store.Pin(KeyOf(1), "", In(absl::Hours(1)))));
  EXPECT_TRUE(absl::IsInvalidArgument(store.Pin(KeyOf(1), std::string(129, 'x'), In(absl::Hours(1)))));
  EXPECT_TRUE(absl::IsInvalidArgument(store.Pin(KeyOf(1), "job", clock().Now())));
  EXPECT_TRUE(absl::IsInvalidArgument(store.Pin(KeyOf(1), "job", absl::InfiniteFuture())));
  for (int64_t i = 0; i < kMaxPinsPerChunk; ++i)
    ASSERT_TRUE(store.Pin(KeyOf(1), "owner/" + std::to_string(i), In(absl::Hours(1))).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(store.Pin(KeyOf(1), "one more", In(absl::Hours(1)))));
  EXPECT_TRUE(store.Pin(KeyOf(1), "owner/0", In(absl::Hours(2))).ok()) << "an owner may renew at the limit";
}

TEST_P(ChunkStoreContract, ReaderKeepsAnEvictedChunk) {
  ChunkStore& store = OpenForChunks(2);
  CACHECLIP_REQUIRE_BUDGET();
  ASSERT_TRUE(PutLater(1).ok());
  const auto held = store.Get(KeyOf(1));
  ASSERT_TRUE(held.ok());
  for (int seed = 2; seed <= 6; ++seed) ASSERT_TRUE(PutLater(seed).ok());
  EXPECT_FALSE(Holds(store, 1));
  EXPECT_TRUE(std::ranges::equal(held->chunk->image(), MakeTestChunk(1)->image()));
}

TEST_P(ChunkStoreContract, ForEachVisitsWhatIsHeld) {
  ChunkStore& store = Open();
  for (int seed : {1, 2, 3}) ASSERT_TRUE(PutLater(seed).ok());
  std::set<std::string> visited;
  int64_t total_bytes = 0;
  ASSERT_TRUE(store
                  .ForEach([&](const ChunkKey& key, int64_t bytes) {
                    visited.insert(key.ToHex());
                    total_bytes += bytes;
                  })
                  .ok());
  EXPECT_EQ(visited, (std::set<std::string>{KeyOf(1).ToHex(), KeyOf(2).ToHex(), KeyOf(3).ToHex()}));
  EXPECT_EQ(total_bytes, 3 * MakeTestChunk(1)->total_bytes());
  EXPECT_EQ(WhatIsHeld(), (Held{3, total_bytes}));
}

TEST_P(ChunkStoreContract, LookingAtADamagedChunkLeavesItWhereItIs) {
  ChunkStore& store = Open();
  ASSERT_TRUE(PutLater(1).ok());
  EXPECT_TRUE(store.Get(KeyOf(1), {.changes_nothing = true}).ok());
  if (!harness().Corrupt(KeyOf(1))) return;  // this tier cannot be damaged from outside
  for (int look = 0; look < 2; ++look)
    EXPECT_TRUE(absl::IsDataLoss(store.Get(KeyOf(1), {.changes_nothing = true}).status())) << look;
  EXPECT_TRUE(store.Contains(KeyOf(1)).value());
}

TEST_P(ChunkStoreContract, DamagedChunkIsDeletedCountedAndNeverServed) {
  ChunkStore& store = Open();
  ASSERT_TRUE(PutLater(1).ok());
  if (!harness().Corrupt(KeyOf(1))) return;  // this tier cannot be damaged from outside
  EXPECT_TRUE(absl::IsDataLoss(store.Get(KeyOf(1)).status()));
  EXPECT_EQ(store.stats().corrupt, 1);
  EXPECT_FALSE(Holds(store, 1));
  EXPECT_TRUE(absl::IsNotFound(store.Get(KeyOf(1)).status()));
  EXPECT_EQ(WhatIsHeld(), Held{});
  ASSERT_TRUE(PutLater(1).ok()) << "the chunk can be stored again";
  EXPECT_TRUE(store.Get(KeyOf(1)).ok());
}

TEST_P(ChunkStoreContract, ServesWholeChunksUnderConcurrentPutsGetsAndDeletes) {
  constexpr int kThreads = 4, kRounds = 25;
  ChunkStore& store = Open();
  std::atomic<int> wrong_bytes{0}, failures{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kRounds; ++i) {
        const auto chunk = MakeTestChunk(1 + (thread + i) % 5);
        if (!store.Put(chunk).ok()) ++failures;
        const auto hit = store.Get(chunk->key());
        if (hit.ok() && !std::ranges::equal(hit->chunk->image(), chunk->image())) ++wrong_bytes;
        if (!hit.ok() && !absl::IsNotFound(hit.status())) ++failures;
        if (i % 3 == 0 && !store.Delete(chunk->key()).ok()) ++failures;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong_bytes, 0);
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(store.stats().corrupt, 0);
}

TEST_P(ChunkStoreContract, BudgetsHoldAtEveryMomentUnderConcurrentLoad) {
  constexpr int kThreads = 4, kChunksPerThread = 25;
  const int64_t max_bytes = 5 * MakeTestChunk(1)->total_bytes() + 100;
  ChunkStore& store = Open({.max_bytes = max_bytes, .max_objects = 4});
  CACHECLIP_REQUIRE_BUDGET();
  std::atomic<int> wrong_bytes{0}, failed_puts{0}, over_budget{0};
  std::atomic<bool> done{false};
  std::thread observer([&] {
    while (!done) {
      const StoreStats stats = store.stats();
      if (stats.bytes > max_bytes || stats.objects > 4) ++over_budget;
    }
  });
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kChunksPerThread; ++i) {
        const auto chunk = MakeTestChunk(1 + (thread * 7 + i * 3) % 20);  // keys that several threads use
        // A moment at which all four places are being written by others has nothing to evict.
        const absl::Status put = store.Put(chunk);
        if (!put.ok() && !absl::IsResourceExhausted(put)) ++failed_puts;
        const auto hit = store.Get(chunk->key());
        if (hit.ok() && !std::ranges::equal(hit->chunk->image(), chunk->image())) ++wrong_bytes;
      }
    });
  for (std::thread& thread : threads) thread.join();
  done = true;
  observer.join();
  EXPECT_EQ(over_budget, 0);
  EXPECT_EQ(wrong_bytes, 0);
  EXPECT_EQ(failed_puts, 0);
  EXPECT_EQ(store.stats().corrupt, 0);
}

}  // namespace
}  // namespace cacheclip
