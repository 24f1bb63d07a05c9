#include "common/store/tiered_chunk_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "common/store/memory_chunk_store.h"
#include "tests/support/disk_harness.h"
#include "tests/support/fake_tier.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

// Memory with two thirds of the room over disk with all of it.
class TieredHarness : public StoreHarness {
 public:
  explicit TieredHarness(const StoreLimits& limits)
      : store_(TieredChunkStore::Open({{std::make_shared<MemoryChunkStore>(
                                            MemoryChunkStoreOptions{.max_bytes = limits.max_bytes * 2 / 3,
                                                                    .max_objects = limits.max_objects / 2,
                                                                    .clock = &clock()}),
                                        Tier::kMemory},
                                       {DiskChunkStore::Open({.folder = folder_.path(),
                                                              .max_bytes = limits.max_bytes,
                                                              .max_objects = limits.max_objects,
                                                              .clock = &clock()})
                                            .value(),
                                        Tier::kDisk}},
                                      {.admit_first_use = true, .clock = &clock()})
                   .value()) {}
  ChunkStore& store() override { return *store_; }
  bool Corrupt(const ChunkKey& key) override {
    store_->tier(0).Delete(key).IgnoreError();
    const std::string path = ObjectFile(folder_.path(), key);
    FlipBit(path, static_cast<int64_t>(std::filesystem::file_size(path)) / 2);
    return true;
  }

 private:
  TempFolder folder_;
  std::unique_ptr<TieredChunkStore> store_;
};

std::unique_ptr<StoreHarness> MakeTieredHarness(const StoreLimits& limits) {
  return std::make_unique<TieredHarness>(limits);
}

// Memory over disk over a remote tier, with the budget in the remote one.
class ThreeTierHarness : public StoreHarness {
 public:
  explicit ThreeTierHarness(const StoreLimits& limits)
      : store_(
            TieredChunkStore::Open(
                {{std::make_shared<MemoryChunkStore>(
                      MemoryChunkStoreOptions{.max_bytes = limits.max_bytes / 3,
                                              .max_objects = limits.max_objects / 4,
                                              .clock = &clock()}),
                  Tier::kMemory},
                 {DiskChunkStore::Open({.folder = folder_.path(),
                                        .max_bytes = limits.max_bytes * 2 / 3,
                                        .max_objects = limits.max_objects / 2,
                                        .clock = &clock()})
                      .value(),
                  Tier::kDisk},
                 {std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{
                      .max_bytes = limits.max_bytes, .max_objects = limits.max_objects, .clock = &clock()}),
                  Tier::kRedis, true}},
                {.remote_use_interval = absl::ZeroDuration(), .admit_first_use = true, .clock = &clock()})
                .value()),
        settled_(store_.get()) {}
  ChunkStore& store() override { return settled_; }

 private:
  // Remote tiers learn of uses in the background: the contract counts on them having done so.
  class Settled : public ChunkStore {
   public:
    explicit Settled(TieredChunkStore* store) : store_(store) {}
    absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) override {
      auto hit = store_->Get(key, options);
      store_->WaitUntilIdle();
      return hit;
    }
    absl::Status Put(std::shared_ptr<const EncodedChunk> chunk) override {
      return store_->Put(std::move(chunk));
    }
    absl::Status Delete(const ChunkKey& key) override { return store_->Delete(key); }
    absl::StatusOr<bool> Contains(const ChunkKey& key) override { return store_->Contains(key); }
    void MarkUsed(const ChunkKey& key) override { store_->MarkUsed(key); }
    absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) override {
      return store_->Pin(key, owner, expiry);
    }
    absl::Status Unpin(const ChunkKey& key, std::string_view owner) override {
      return store_->Unpin(key, owner);
    }
    StoreStats stats() const override { return store_->stats(); }
    absl::Status ForEach(const Visitor& visitor) override { return store_->ForEach(visitor); }
    std::string_view tier_name() const override { return store_->tier_name(); }

   private:
    TieredChunkStore* const store_;
  };

  TempFolder folder_;
  std::unique_ptr<TieredChunkStore> store_;
  Settled settled_;
};

std::unique_ptr<StoreHarness> MakeThreeTierHarness(const StoreLimits& limits) {
  return std::make_unique<ThreeTierHarness>(limits);
}

INSTANTIATE_TEST_SUITE_P(Tiered, ChunkStoreContract,
                         testing::Values(StoreHarnessFactory(MakeTieredHarness),
                                         StoreHarnessFactory(MakeThreeTierHarness)));

class TieredChunkStoreTest : public testing::Test {
 protected:
  std::shared_ptr<MemoryChunkStore> fast_ = std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{});
  std::shared_ptr<FakeTier> slow_ = std::make_shared<FakeTier>();
  const std::unique_ptr<TieredChunkStore> owned_ =
      TieredChunkStore::Open({{fast_, Tier::kMemory}, {slow_, Tier::kDisk}}).value();
  TieredChunkStore& store_ = *owned_;
  const std::shared_ptr<const EncodedChunk> chunk_ = MakeTestChunk(1);
};

TEST_F(TieredChunkStoreTest, PromotesAHitAndNamesTheTierThatServedIt) {
  TempFolder folder;
  std::shared_ptr<ChunkStore> disk = DiskChunkStore::Open({.folder = folder.path()}).value();
  ASSERT_TRUE(disk->Put(chunk_).ok());
  const auto stack = TieredChunkStore::Open({{fast_, Tier::kMemory}, {disk, Tier::kDisk}}).value();
  TieredChunkStore& store = *stack;
  EXPECT_EQ(store.Get(chunk_->key())->tier, Tier::kDisk);
  EXPECT_EQ(store.Get(chunk_->key())->tier, Tier::kMemory);
  EXPECT_EQ(store.stats().hits, 2);
}

TEST_F(TieredChunkStoreTest, PromotedChunkDoesNotDependOnTheFile) {
  TempFolder folder;
  std::shared_ptr<ChunkStore> disk = DiskChunkStore::Open({.folder = folder.path()}).value();
  ASSERT_TRUE(disk->Put(chunk_).ok());
  const auto stack = TieredChunkStore::Open({{fast_, Tier::kMemory}, {disk, Tier::kDisk}}).value();
  TieredChunkStore& store = *stack;
  const auto hit = store.Get(chunk_->key());
  FlipBit(ObjectFile(folder.path(), chunk_->key()), chunk_->total_bytes() - 100);
  EXPECT_TRUE(std::ranges::equal(hit->chunk->image(), chunk_->image()));
  EXPECT_TRUE(std::ranges::equal(store.Get(chunk_->key())->chunk->image(), chunk_->image()));
}

TEST_F(TieredChunkStoreTest, ConcurrentLoadsOfAKeyShareOneRead) {
  ASSERT_TRUE(slow_->Put(chunk_).ok());
  slow_->closed = true;
  std::atomic<int> num_hits{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([&] { num_hits += store_.Get(chunk_->key()).ok() ? 1 : 0; });
  ASSERT_TRUE(PollUntil([&] { return slow_->num_gets > 0 && store_.num_waiting() == 3; }));
  slow_->closed = false;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(num_hits, 4);
  EXPECT_LE(slow_->num_gets, 1);
  EXPECT_EQ(fast_->stats().objects, 1);
}

TEST_F(TieredChunkStoreTest, DeleteDuringALoadIsNotUndoneByIt) {
  ASSERT_TRUE(slow_->Put(chunk_).ok());
  slow_->closed = true;
  std::thread reader([&] { EXPECT_TRUE(store_.Get(chunk_->key()).ok()) << "asked before the delete"; });
  ASSERT_TRUE(PollUntil([&] { return slow_->num_gets > 0; }));
  ASSERT_TRUE(store_.Delete(chunk_->key()).ok());
  slow_->closed = false;
  reader.join();
  EXPECT_FALSE(store_.Contains(chunk_->key()).value());
  EXPECT_TRUE(absl::IsNotFound(store_.Get(chunk_->key()).status()));
}

TEST_F(TieredChunkStoreTest, FullSlowTierIsReportedAndMemoryStillServes) {
  slow_->FailPutsWith(absl::ResourceExhaustedError("disk full"));
  EXPECT_TRUE(absl::IsResourceExhausted(store_.Put(chunk_)));
  EXPECT_EQ(store_.Get(chunk_->key())->tier, Tier::kMemory);
  EXPECT_EQ(store_.stats().rejected_puts, 1);
}

TEST_F(TieredChunkStoreTest, CopiesBetweenTiersStayWithinTheirBound) {
  const auto stack = TieredChunkStore::Open({{fast_, Tier::kMemory}, {slow_, Tier::kDisk}},
                                            {.max_in_flight_bytes = 2 * chunk_->total_bytes()})
                         .value();
  TieredChunkStore& store = *stack;
  constexpr int kChunks = 40;
  for (int seed = 1; seed <= kChunks; ++seed) ASSERT_TRUE(slow_->Put(MakeTestChunk(seed)).ok());
  std::vector<std::thread> readers;
  std::atomic<int> num_hits{0};
  for (int thread = 0; thread < 4; ++thread)
    readers.emplace_back([&, thread] {
      for (int seed = 1 + thread; seed <= kChunks; seed += 4)
        num_hits += store.Get(MakeTestChunk(seed)->key()).ok() ? 1 : 0;
    });
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(num_hits, kChunks);
  EXPECT_GT(store.peak_in_flight_bytes(), 0);
  EXPECT_LE(store.peak_in_flight_bytes(), 2 * chunk_->total_bytes());
}

TEST_F(TieredChunkStoreTest, ChunkLargerThanTheWholeBoundGoesAlone) {
  const auto stack =
      TieredChunkStore::Open({{fast_, Tier::kMemory}, {slow_, Tier::kDisk}}, {.max_in_flight_bytes = 10})
          .value();
  TieredChunkStore& store = *stack;
  ASSERT_TRUE(slow_->Put(chunk_).ok());
  EXPECT_TRUE(store.Get(chunk_->key()).ok());
}

// Three tiers, the last one behind a network.
class RemoteTiersTest : public testing::Test {
 protected:
  absl::StatusOr<StoreHit> Get(const GetOptions& options = {}) { return store_->Get(chunk_->key(), options); }

  FakeClock clock_;
  std::shared_ptr<MemoryChunkStore> memory_ = std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{});
  std::shared_ptr<FakeTier> redis_ = std::make_shared<FakeTier>(), object_ = std::make_shared<FakeTier>();
  const std::unique_ptr<TieredChunkStore> store_ =
      TieredChunkStore::Open(
          {{memory_, Tier::kMemory}, {redis_, Tier::kRedis, true}, {object_, Tier::kObject, true}},
          {.clock = &clock_})
          .value();
  const std::shared_ptr<const EncodedChunk> chunk_ = MakeTestChunk(1);
};

TEST_F(RemoteTiersTest, AFailingTierIsSkippedAndTheNextOneServes) {
  ASSERT_TRUE(object_->Put(chunk_).ok());
  redis_->FailWith(absl::UnavailableError("down"));
  EXPECT_EQ(Get()->tier, Tier::kObject);
  EXPECT_EQ(redis_->num_gets, 1);
  for (int seed = 2; seed <= 5; ++seed) store_->Get(MakeTestChunk(seed)->key()).IgnoreError();
  EXPECT_EQ(redis_->num_gets, 1) << "left alone for a while";
  const TierObservations seen = store_->tier_reports()[1].observations;
  EXPECT_EQ(seen.num_failed_reads, 1);
  EXPECT_EQ(seen.num_skipped_reads, 4);
  redis_->FailWith(absl::OkStatus());
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(absl::IsNotFound(store_->Get(MakeTestChunk(6)->key()).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->Get(MakeTestChunk(7)->key()).status()));
  EXPECT_EQ(redis_->num_gets, 3) << "it answers again";
}

TEST_F(RemoteTiersTest, ItIsUnknownWhetherADownTierHasTheChunk) {
  redis_->FailWith(absl::UnavailableError("down"));
  EXPECT_TRUE(absl::IsUnavailable(Get().status()));
  EXPECT_TRUE(absl::IsUnavailable(Get().status())) << "also while the tier is left alone";
}

TEST_F(RemoteTiersTest, DamageInOneTierIsCoveredByTheNext) {
  ASSERT_TRUE(object_->Put(chunk_).ok());
  redis_->FailWith(absl::DataLossError("slice 2"));
  EXPECT_EQ(Get()->tier, Tier::kObject);
}

TEST_F(RemoteTiersTest, HowMuchARemoteTierHoldsIsNotKnown) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  const std::vector<TierReport> reports = store_->tier_reports();
  EXPECT_EQ(reports[0].stats.bytes, chunk_->total_bytes());
  EXPECT_EQ(reports[0].stats.objects, 1);
  for (const size_t remote : {1, 2}) {
    EXPECT_EQ(reports[remote].stats.bytes, StoreStats::kUnknown);
    EXPECT_EQ(reports[remote].stats.objects, StoreStats::kUnknown);
    EXPECT_EQ(reports[remote].stats.puts, 1);
  }
}

TEST_F(RemoteTiersTest, AvoidedTiersAreNotAsked) {
  ASSERT_TRUE(redis_->Put(chunk_).ok());
  EXPECT_TRUE(absl::IsNotFound(Get({.avoid = {Tier::kRedis}}).status()));
  EXPECT_EQ(redis_->num_gets, 0);
  EXPECT_EQ(object_->num_gets, 1);
  EXPECT_EQ(Get({.avoid = {Tier::kObject}})->tier, Tier::kRedis);
}

TEST_F(RemoteTiersTest, PastItsDeadlineNoRemoteTierIsAsked) {
  ASSERT_TRUE(redis_->Put(chunk_).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Get({.deadline = clock_.Now()}).status()));
  EXPECT_EQ(redis_->num_gets, 0);
  ASSERT_TRUE(memory_->Put(chunk_).ok());
  EXPECT_TRUE(Get({.deadline = clock_.Now()}).ok()) << "memory has no need to wait";
}

TEST_F(RemoteTiersTest, OneStuckFetchHoldsNobodyPastHisDeadline) {
  ASSERT_TRUE(redis_->Put(chunk_).ok());
  redis_->closed = true;
  std::thread leader([&] { EXPECT_TRUE(Get().ok()); });
  ASSERT_TRUE(PollUntil([&] { return redis_->num_gets == 1; }));
  absl::Status status;
  std::thread hasty([&] { status = Get({.deadline = clock_.Now() + absl::Seconds(1)}).status(); });
  ASSERT_TRUE(PollUntil([&] { return store_->num_waiting() == 1; }));
  clock_.Advance(absl::Seconds(2));
  hasty.join();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  redis_->closed = false;
  leader.join();
}

TEST_F(RemoteTiersTest, LookingIntoMemoryDoesNotWaitForAnothersFetch) {
  ASSERT_TRUE(redis_->Put(chunk_).ok());
  redis_->closed = true;
  std::thread leader([&] { EXPECT_TRUE(Get().ok()); });
  ASSERT_TRUE(PollUntil([&] { return redis_->num_gets == 1; }));
  const auto memory_only = Get({.avoid = {Tier::kDisk, Tier::kRedis, Tier::kObject}});
  EXPECT_TRUE(absl::IsNotFound(memory_only.status())) << memory_only.status();
  redis_->closed = false;
  leader.join();
}

}  // namespace
}  // namespace cacheclip
