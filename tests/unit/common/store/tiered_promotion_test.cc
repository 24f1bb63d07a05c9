// How chunks rise: promotion, admission to full tiers, arriving chunks, prefetch, eviction ahead of need.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "common/store/tiered_chunk_store.h"
#include "tests/support/fake_tier.h"
#include "tests/support/poll.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

const int64_t kChunkBytes = MakeTestChunk(1)->total_bytes();

// Memory for `memory_chunks` over a local tier over a remote one.
struct Stack {
  explicit Stack(int64_t memory_chunks = 100, Watermarks watermarks = {},
                 std::shared_ptr<FakeClock> given_clock = std::make_shared<FakeClock>())
      : owned_clock(std::move(given_clock)),
        memory(std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{
            .max_bytes = memory_chunks * kChunkBytes, .watermarks = watermarks, .clock = &clock})),
        store(TieredChunkStore::Open(
                  {{memory, Tier::kMemory}, {disk, Tier::kDisk}, {redis, Tier::kRedis, true}},
                  {.clock = &clock})
                  .value()) {}
  bool Holds(MemoryChunkStore& tier, int seed) const {
    return tier.Contains(MakeTestChunk(seed)->key()).value();
  }
  absl::StatusOr<StoreHit> Get(int seed, const GetOptions& options = {}) {
    auto hit = store->Get(MakeTestChunk(seed)->key(), options);
    store->WaitUntilIdle();
    return hit;
  }

  std::shared_ptr<FakeClock> owned_clock;
  FakeClock& clock = *owned_clock;
  std::shared_ptr<MemoryChunkStore> memory;
  std::shared_ptr<FakeTier> disk = std::make_shared<FakeTier>(), redis = std::make_shared<FakeTier>();
  std::unique_ptr<TieredChunkStore> store;
};

TEST(TieredPromotion, AHitRisesIntoEveryFasterTier) {
  Stack stack;
  ASSERT_TRUE(stack.redis->Put(MakeTestChunk(1)).ok());
  EXPECT_EQ(stack.Get(1)->tier, Tier::kRedis);
  EXPECT_TRUE(stack.Holds(*stack.memory, 1));
  EXPECT_TRUE(stack.disk->Holds(MakeTestChunk(1)->key()));
  EXPECT_EQ(stack.Get(1)->tier, Tier::kMemory);
  const auto reports = stack.store->tier_reports();
  ASSERT_EQ(reports.size(), 3u);
  EXPECT_EQ(reports[0].observations.num_promotions, 1);
  EXPECT_EQ(reports[1].observations.num_promotions, 1);
  EXPECT_EQ(reports[2].observations.num_hits, 1);
  EXPECT_EQ(reports[2].observations.bytes_read, kChunkBytes);
}

TEST(TieredPromotion, AScanOfChunksUsedOnceDoesNotFlushTheHotSet) {
  Stack stack(3);
  for (int seed = 1; seed <= 40; ++seed) ASSERT_TRUE(stack.redis->Put(MakeTestChunk(seed)).ok());
  for (int seed : {1, 2, 3}) ASSERT_TRUE(stack.Get(seed).ok());
  for (int seed = 10; seed <= 40; ++seed) ASSERT_TRUE(stack.Get(seed).ok());
  for (int seed : {1, 2, 3}) EXPECT_EQ(stack.Get(seed)->tier, Tier::kMemory) << seed;
  stack.Get(20).IgnoreError();
  EXPECT_TRUE(stack.Holds(*stack.memory, 20)) << "its second use";
}

TEST(TieredPromotion, AnArrivingChunkIsSharedAndPromotedOnceComplete) {
  Stack stack;
  ASSERT_TRUE(stack.redis->Put(MakeTestChunk(1)).ok());
  stack.redis->arriving = true;
  const auto first = stack.Get(1, {.accept_arriving = true});
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_NE(first->arrival, nullptr);
  EXPECT_FALSE(stack.Holds(*stack.memory, 1));
  const auto second = stack.Get(1, {.accept_arriving = true});
  EXPECT_EQ(second->arrival, first->arrival);
  EXPECT_EQ(stack.redis->num_gets, 1);
  first->arrival->Publish(1);
  EXPECT_FALSE(stack.Holds(*stack.memory, 1));
  first->arrival->Publish(first->arrival->num_layers());
  stack.store->WaitUntilIdle();
  EXPECT_TRUE(stack.Holds(*stack.memory, 1));
  EXPECT_TRUE(stack.disk->Holds(MakeTestChunk(1)->key()));
  EXPECT_EQ(stack.Get(1, {.accept_arriving = true})->tier, Tier::kMemory);
}

TEST(TieredPromotion, AnArrivalThatFailsIsNotPromoted) {
  Stack stack;
  ASSERT_TRUE(stack.redis->Put(MakeTestChunk(1)).ok());
  stack.redis->arriving = true;
  const auto hit = stack.Get(1, {.accept_arriving = true});
  hit->arrival->Publish(1);
  hit->arrival->Fail(absl::DataLossError("slice 9"));
  stack.store->WaitUntilIdle();
  EXPECT_FALSE(stack.Holds(*stack.memory, 1));
}

TEST(TieredPromotion, ADeletionBeforeTheLastLayerIsNotUndone) {
  Stack stack;
  ASSERT_TRUE(stack.redis->Put(MakeTestChunk(1)).ok());
  stack.redis->arriving = true;
  const auto hit = stack.Get(1, {.accept_arriving = true});
  ASSERT_TRUE(stack.store->Delete(MakeTestChunk(1)->key()).ok());
  hit->arrival->Publish(hit->arrival->num_layers());
  stack.store->WaitUntilIdle();
  EXPECT_FALSE(stack.store->Contains(MakeTestChunk(1)->key()).value());
  EXPECT_TRUE(absl::IsNotFound(stack.Get(1).status()));
}

TEST(TieredPromotion, AnArrivalMayOutliveTheStack) {
  const auto clock = std::make_shared<FakeClock>();
  std::shared_ptr<ChunkArrival> arrival;
  {
    Stack stack(100, {}, clock);
    ASSERT_TRUE(stack.redis->Put(MakeTestChunk(1)).ok());
    stack.redis->arriving = true;
    arrival = stack.Get(1, {.accept_arriving = true})->arrival;
  }
  arrival->Publish(arrival->num_layers());
  EXPECT_TRUE(arrival->WaitForAll(absl::InfiniteFuture()).ok());
}

TEST(TieredPromotion, PrefetchBringsChunksIntoMemory) {
  Stack stack(3);
  for (int seed = 1; seed <= 6; ++seed) ASSERT_TRUE(stack.redis->Put(MakeTestChunk(seed)).ok());
  for (int seed : {1, 2, 3}) ASSERT_TRUE(stack.Get(seed).ok());
  const std::vector<ChunkKey> keys = {MakeTestChunk(4)->key(), MakeTestChunk(5)->key()};
  stack.store->Prefetch(keys, stack.clock.Now() + absl::Seconds(1));
  stack.store->WaitUntilIdle();
  EXPECT_TRUE(stack.Holds(*stack.memory, 4));
  EXPECT_TRUE(stack.Holds(*stack.memory, 5));
  stack.store->Prefetch(std::vector<ChunkKey>{MakeTestChunk(6)->key()}, stack.clock.Now());
  stack.store->WaitUntilIdle();
  EXPECT_FALSE(stack.Holds(*stack.memory, 6)) << "too late";
}

// Memory for one chunk over disk over two remote tiers, of which the last one has chunks 1 to kNumCold.
struct ColdStack {
  static constexpr int kNumCold = 12;
  ColdStack() {
    for (int seed = 1; seed <= kNumCold; ++seed) EXPECT_TRUE(object->Put(MakeTestChunk(seed)).ok());
  }
  absl::StatusOr<StoreHit> Get(int seed, const GetOptions& options = {}) {
    return store->Get(MakeTestChunk(seed)->key(), options);
  }
  bool IsOnDiskSoon(int seed) {
    return PollUntil([&] { return disk->Holds(MakeTestChunk(seed)->key()); });
  }

  FakeClock clock;
  std::shared_ptr<MemoryChunkStore> memory =
      std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{.max_bytes = kChunkBytes, .clock = &clock});
  const MemoryChunkStoreOptions other_tiers{.clock = &clock};
  std::shared_ptr<FakeTier> disk = std::make_shared<FakeTier>(other_tiers),
                            redis = std::make_shared<FakeTier>(other_tiers),
                            object = std::make_shared<FakeTier>(other_tiers);
  std::unique_ptr<TieredChunkStore> store =
      TieredChunkStore::Open({{memory, Tier::kMemory},
                              {disk, Tier::kDisk},
                              {redis, Tier::kRedis, true},
                              {object, Tier::kObject, true}},
                             {.max_in_flight_bytes = 2 * kChunkBytes, .clock = &clock})
          .value();
};

TEST(TieredPromotion, LocalTiersDoNotWaitForARemoteOneThatIsSlow) {
  ColdStack stack;
  stack.redis->puts_closed = true;
  for (int seed = 1; seed <= ColdStack::kNumCold; ++seed) {
    ASSERT_EQ(stack.Get(seed)->tier, Tier::kObject);
    ASSERT_TRUE(stack.IsOnDiskSoon(seed)) << seed;
  }
  EXPECT_EQ(stack.redis->stats().objects, 0);
  stack.redis->puts_closed = false;
  stack.store->WaitUntilIdle();
  EXPECT_GT(stack.redis->stats().objects, 0);
  EXPECT_LE(stack.redis->stats().objects, 2) << "what did not fit into its queue was not kept waiting";
  for (int seed = 1; seed <= ColdStack::kNumCold; ++seed) EXPECT_NE(stack.Get(seed)->tier, Tier::kObject);
}

TEST(TieredPromotion, ARemoteTierThatIsLeftAloneOrAvoidedGetsNoCopies) {
  ColdStack stack;
  ASSERT_TRUE(stack.Get(1, {.avoid = {Tier::kRedis}}).ok());
  ASSERT_TRUE(stack.IsOnDiskSoon(1));  // one by one: the queue holds two
  stack.redis->FailWith(absl::DeadlineExceededError("late"));
  ASSERT_TRUE(stack.Get(2).ok());
  ASSERT_TRUE(stack.IsOnDiskSoon(2));
  stack.redis->FailWith(absl::OkStatus());
  ASSERT_TRUE(stack.Get(3).ok());
  ASSERT_TRUE(stack.IsOnDiskSoon(3));
  stack.store->WaitUntilIdle();
  EXPECT_EQ(stack.redis->num_puts, 0);
  stack.clock.Advance(absl::Minutes(1));
  ASSERT_TRUE(stack.Get(4).ok());
  stack.store->WaitUntilIdle();
  EXPECT_TRUE(stack.redis->Holds(MakeTestChunk(4)->key())) << "it answers again";
}

TEST(TieredPromotion, WithoutALocalTierAHitIsNotHeldUpByItsCopy) {
  auto redis = std::make_shared<FakeTier>(), object = std::make_shared<FakeTier>();
  const auto stack =
      TieredChunkStore::Open({{redis, Tier::kRedis, true}, {object, Tier::kObject, true}}).value();
  ASSERT_TRUE(object->Put(MakeTestChunk(1)).ok());
  redis->puts_closed = true;
  EXPECT_EQ(stack->Get(MakeTestChunk(1)->key())->tier, Tier::kObject);
  redis->puts_closed = false;
  stack->WaitUntilIdle();
  EXPECT_TRUE(redis->Holds(MakeTestChunk(1)->key()));
}

TEST(TieredPromotion, EvictionRunsAheadOfNeed) {
  Stack stack(10, {.high = 0.85, .low = 0.5});
  for (int seed = 1; seed <= 9; ++seed) ASSERT_TRUE(stack.store->Put(MakeTestChunk(seed)).ok());
  stack.store->WaitUntilIdle();
  EXPECT_LE(stack.memory->stats().bytes, 10 * kChunkBytes * 85 / 100);
  for (int seed = 1; seed <= 9; ++seed) ASSERT_TRUE(stack.store->Put(MakeTestChunk(seed)).ok());
  stack.store->WaitUntilIdle();
  EXPECT_LE(stack.memory->stats().bytes, 10 * kChunkBytes * 85 / 100);
}

TEST(TieredPromotion, WorkOnRemoteTiersLeavesNoEvictionBehind) {
  struct CountingStore : MemoryChunkStore {
    using MemoryChunkStore::MemoryChunkStore;
    void EvictToLowWater() override { ++num_calls; }
    std::atomic<int> num_calls{0};
  };
  const auto memory = std::make_shared<CountingStore>(MemoryChunkStoreOptions{});
  const auto redis = std::make_shared<FakeTier>(), object = std::make_shared<FakeTier>();
  const auto store =
      TieredChunkStore::Open(
          {{memory, Tier::kMemory}, {redis, Tier::kRedis, true}, {object, Tier::kObject, true}})
          .value();
  ASSERT_TRUE(object->Put(MakeTestChunk(1)).ok());
  redis->puts_closed = true;
  ASSERT_TRUE(store->Get(MakeTestChunk(1)->key()).ok());
  ASSERT_TRUE(PollUntil([&] { return memory->num_calls == 1; })) << "memory has got the chunk";
  redis->puts_closed = false;
  store->WaitUntilIdle();
  store->WaitUntilIdle();  // would run what the first left pending
  EXPECT_TRUE(redis->Holds(MakeTestChunk(1)->key()));
  EXPECT_EQ(memory->num_calls, 1);
}

TEST(TieredPromotion, PromotedChunksCountToTheReadersGroup) {
  Stack stack;
  ASSERT_TRUE(stack.redis->Put(MakeTestChunk(1)).ok());
  ASSERT_TRUE(stack.Get(1, {.group = "docs"}).ok());
  EXPECT_EQ(stack.memory->group_bytes("docs"), kChunkBytes);
}

TEST(TieredPromotion, RemoteTiersHearOfLocalUsesNowAndThen) {
  Stack stack;
  ASSERT_TRUE(stack.store->Put(MakeTestChunk(1)).ok());
  ASSERT_TRUE(stack.store->Put(MakeTestChunk(2)).ok());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(stack.Get(1)->tier, Tier::kMemory);
  EXPECT_EQ(stack.redis->num_gets, 0) << "a use is told, not asked for";
}

// Threads that read, write and delete the same few chunks while a tier comes and goes.
TEST(TieredPromotion, BytesAreRightAndBoundsHoldWhileATierComesAndGoes) {
  Stack stack(4);
  constexpr int kSeeds = 12;
  std::atomic<int> wrong{0}, over{0};
  std::atomic<bool> done{false};
  std::thread chaos([&] {
    for (int i = 0; !done; ++i) {
      stack.redis->FailWith(i % 3 == 0 ? absl::UnavailableError("down") : absl::OkStatus());
      stack.clock.Advance(absl::Milliseconds(100));
      if (stack.memory->stats().bytes > 4 * kChunkBytes) ++over;
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 300; ++i) {
        const auto chunk = MakeTestChunk(1 + (thread * 5 + i * 7) % kSeeds);
        if (i % 7 == 0) stack.store->Put(chunk).IgnoreError();
        if (i % 31 == 0) stack.store->Delete(chunk->key()).IgnoreError();
        const auto hit = stack.store->Get(chunk->key());
        if (hit.ok() && !std::ranges::equal(hit->chunk->image(), chunk->image())) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  done = true;
  chaos.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(over, 0);
  // What was deleted while nobody wrote stays deleted, whatever was under way.
  stack.redis->FailWith(absl::OkStatus());
  for (int seed = 1; seed <= kSeeds; ++seed)
    ASSERT_TRUE(stack.store->Delete(MakeTestChunk(seed)->key()).ok());
  stack.store->WaitUntilIdle();
  for (int seed = 1; seed <= kSeeds; ++seed) EXPECT_FALSE(stack.Get(seed).ok()) << seed;
}

}  // namespace
}  // namespace cacheclip
