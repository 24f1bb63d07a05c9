// How chunks come into a stack of tiers and leave it: write modes, pins, deletions that a tier misses.
#include <gtest/gtest.h>

#include "common/store/disk_chunk_store.h"
#include "common/store/tiered_chunk_store.h"
#include "tests/support/fake_tier.h"
#include "tests/support/poll.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

// Memory over a real disk tier over two remote fakes.
class TieredWrites : public testing::Test {
 protected:
  void Open(WriteMode mode, WriteBackOptions write_back = {}) {
    store_.reset();
    memory_ = std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{.clock = &clock_});
    disk_ = DiskChunkStore::Open({.folder = folder_.path() + "/disk",
                                  .max_bytes = 8 * MakeTestChunk(1)->total_bytes(),
                                  .clock = &clock_})
                .value();
    write_back.folder = folder_.path() + "/journal";
    write_back.first_retry_delay = absl::Milliseconds(1);
    write_back.max_retry_delay = absl::Milliseconds(4);
    store_ = TieredChunkStore::Open({{memory_, Tier::kMemory},
                                     {disk_, Tier::kDisk},
                                     {redis_, Tier::kRedis, true},
                                     {object_, Tier::kObject, true}},
                                    {.write_mode = mode, .write_back = write_back, .clock = &clock_})
                 .value();
  }
  absl::Status Put(int seed) { return store_->Put(MakeTestChunk(seed)); }
  static ChunkKey Key(int seed) { return MakeTestChunk(seed)->key(); }
  static constexpr absl::Duration kLong = absl::Seconds(60);

  FakeClock clock_;
  TempFolder folder_;
  std::shared_ptr<MemoryChunkStore> memory_;
  std::shared_ptr<DiskChunkStore> disk_;
  const MemoryChunkStoreOptions remote_{.clock = &clock_};
  std::shared_ptr<FakeTier> redis_ = std::make_shared<FakeTier>(remote_);
  std::shared_ptr<FakeTier> object_ = std::make_shared<FakeTier>(remote_);
  std::unique_ptr<TieredChunkStore> store_;
};

TEST_F(TieredWrites, ThroughWritesEveryTierBeforeItReturns) {
  Open(WriteMode::kThrough);
  ASSERT_TRUE(Put(1).ok());
  EXPECT_TRUE(memory_->Contains(Key(1)).value());
  EXPECT_TRUE(disk_->Contains(Key(1)).value());
  EXPECT_TRUE(redis_->Holds(Key(1)));
  EXPECT_TRUE(object_->Holds(Key(1)));
}

TEST_F(TieredWrites, KeptMeansInTheSlowestTierAndCopiesWhatOthersHold) {
  Open(WriteMode::kThrough);
  ASSERT_TRUE(disk_->Put(MakeTestChunk(1)).ok());
  ASSERT_TRUE(redis_->Put(MakeTestChunk(2)).ok());
  ASSERT_TRUE(object_->Put(MakeTestChunk(3)).ok());
  for (int seed = 1; seed <= 3; ++seed) {
    EXPECT_TRUE(store_->EnsureKept(Key(seed), "").value()) << seed;
    EXPECT_TRUE(object_->Holds(Key(seed))) << seed;
  }
  EXPECT_TRUE(redis_->Holds(Key(1))) << "put through";
  EXPECT_FALSE(store_->EnsureKept(Key(4), "").value());
  const int num_puts = object_->num_puts;
  EXPECT_TRUE(store_->EnsureKept(Key(1), "").value());
  EXPECT_EQ(object_->num_puts, num_puts) << "once";
}

TEST_F(TieredWrites, KeptSaysWhyItCannotBeKept) {
  Open(WriteMode::kThrough);
  ASSERT_TRUE(disk_->Put(MakeTestChunk(1)).ok());
  object_->FailPutsWith(absl::UnavailableError("S3 takes nothing"));
  EXPECT_TRUE(absl::IsUnavailable(store_->EnsureKept(Key(1), "").status()));
  object_->FailWith(absl::UnavailableError("S3 is down"));
  EXPECT_TRUE(absl::IsUnavailable(store_->EnsureKept(Key(1), "").status()));
}

TEST_F(TieredWrites, WithoutRemoteWritesALocalChunkIsKept) {
  Open(WriteMode::kNone);
  ASSERT_TRUE(disk_->Put(MakeTestChunk(1)).ok());
  EXPECT_TRUE(store_->EnsureKept(Key(1), "").value());
  EXPECT_FALSE(object_->Holds(Key(1)));
}

TEST_F(TieredWrites, WithWriteBackAChunkIsKeptOnceItIsQueued) {
  Open(WriteMode::kBack);
  object_->FailWith(absl::UnavailableError("S3 is down"));
  ASSERT_TRUE(disk_->Put(MakeTestChunk(1)).ok());
  EXPECT_TRUE(store_->EnsureKept(Key(1), "").value());
  EXPECT_TRUE(store_->write_back()->IsQueued(Key(1)));
  object_->FailWith(absl::OkStatus());
  ASSERT_TRUE(store_->write_back()->WaitUntilEmpty(kLong));
  EXPECT_TRUE(object_->Holds(Key(1)));
}

TEST_F(TieredWrites, TheSlowestTiersAnswerCounts) {
  Open(WriteMode::kThrough);
  redis_->FailPutsWith(absl::UnavailableError("redis is down"));
  EXPECT_TRUE(Put(1).ok()) << "the object store has it";
  redis_->FailPutsWith(absl::OkStatus());
  object_->FailPutsWith(absl::UnavailableError("no such bucket"));
  EXPECT_TRUE(absl::IsUnavailable(Put(2)));
  EXPECT_EQ(store_->stats().rejected_puts, 1);
  EXPECT_EQ(store_->Get(Key(2))->tier, Tier::kMemory) << "but what has it serves it";
  EXPECT_EQ(store_->tier_reports()[2].observations.num_failed_puts, 1);
}

TEST_F(TieredWrites, NoneLeavesRemoteTiersAlone) {
  Open(WriteMode::kNone);
  ASSERT_TRUE(Put(1).ok());
  EXPECT_EQ(redis_->num_puts + object_->num_puts, 0);
  EXPECT_EQ(store_->stats().objects, 1) << "the disk is home";
  ASSERT_TRUE(object_->Put(MakeTestChunk(2)).ok());
  EXPECT_EQ(store_->Get(Key(2))->tier, Tier::kObject);
  store_->WaitUntilIdle();
  EXPECT_FALSE(redis_->Holds(Key(2)));
  EXPECT_TRUE(disk_->Contains(Key(2)).value());
}

TEST_F(TieredWrites, BackReturnsBeforeRemoteTiersAnswer) {
  Open(WriteMode::kBack);
  redis_->FailWith(absl::UnavailableError("down"));
  ASSERT_TRUE(Put(1).ok());
  ASSERT_TRUE(PollUntil([&] { return store_->write_back_stats().retries > 0; }));
  EXPECT_EQ(store_->write_back_stats().queued_chunks, 1);
  redis_->FailWith(absl::OkStatus());
  ASSERT_TRUE(store_->write_back()->WaitUntilEmpty(kLong));
  EXPECT_TRUE(redis_->Holds(Key(1)));
  EXPECT_TRUE(object_->Holds(Key(1)));
}

TEST_F(TieredWrites, QueuedChunksStayOnDiskAndSurviveARestart) {
  Open(WriteMode::kBack);
  object_->FailPutsWith(absl::UnavailableError("down"));
  ASSERT_TRUE(Put(1).ok());
  for (int seed = 2; seed <= 8; ++seed) {
    clock_.Advance(absl::Seconds(1));
    ASSERT_TRUE(disk_->Put(MakeTestChunk(seed)).ok());
  }
  ASSERT_TRUE(disk_->Put(MakeTestChunk(9)).ok());
  EXPECT_TRUE(disk_->Contains(Key(1)).value()) << "the oldest, but pinned until it is written";
  Open(WriteMode::kBack);
  EXPECT_TRUE(store_->write_back()->IsQueued(Key(1)));
  object_->FailPutsWith(absl::OkStatus());
  ASSERT_TRUE(store_->write_back()->WaitUntilEmpty(kLong));
  EXPECT_TRUE(object_->Holds(Key(1)));
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(disk_->Put(MakeTestChunk(10)).ok());
  EXPECT_LE(disk_->stats().objects, 8);
}

TEST_F(TieredWrites, AFullQueueWritesThrough) {
  Open(WriteMode::kBack, {.max_chunks = 1});
  object_->FailPutsWith(absl::UnavailableError("down"));
  ASSERT_TRUE(Put(1).ok());
  EXPECT_TRUE(absl::IsUnavailable(Put(2))) << "refused by the tier itself, visibly";
  EXPECT_EQ(store_->write_back_stats().refused, 1);
  object_->FailPutsWith(absl::OkStatus());
  EXPECT_TRUE(store_->write_back()->WaitUntilEmpty(kLong));
}

TEST_F(TieredWrites, WithoutAWorkingDiskBackWritesThrough) {
  Open(WriteMode::kBack);
  const auto large = MakeTestChunk(TestChunkOptions{.seed = 9, .num_tokens = 100});
  ASSERT_TRUE(store_->Put(large).ok());
  EXPECT_FALSE(disk_->Contains(large->key()).value());
  EXPECT_TRUE(object_->Holds(large->key()));
}

TEST_F(TieredWrites, ADeletedChunkIsNotWrittenBack) {
  Open(WriteMode::kBack);
  object_->FailPutsWith(absl::UnavailableError("down"));
  ASSERT_TRUE(Put(1).ok());
  ASSERT_TRUE(store_->Delete(Key(1)).ok());
  object_->FailPutsWith(absl::OkStatus());
  ASSERT_TRUE(store_->write_back()->WaitUntilEmpty(kLong));
  EXPECT_FALSE(object_->Holds(Key(1)));
  EXPECT_FALSE(redis_->Holds(Key(1))) << "the copy that was written before is gone too";
  EXPECT_TRUE(absl::IsNotFound(store_->Get(Key(1)).status()));
}

TEST_F(TieredWrites, ATierThatMissesADeletionDoesNotServeTheChunk) {
  Open(WriteMode::kThrough);
  ASSERT_TRUE(Put(1).ok());
  object_->FailWith(absl::UnavailableError("down"));
  EXPECT_TRUE(absl::IsUnavailable(store_->Delete(Key(1))));
  object_->FailWith(absl::OkStatus());
  EXPECT_TRUE(object_->Holds(Key(1)));
  EXPECT_TRUE(absl::IsNotFound(store_->Get(Key(1)).status()));
  EXPECT_FALSE(store_->Contains(Key(1)).value());
  EXPECT_TRUE(absl::IsNotFound(store_->Get(Key(2)).status())) << "the tier answers again";
  store_->WaitUntilIdle();
  EXPECT_FALSE(object_->Holds(Key(1))) << "the deletion was repeated";
}

TEST_F(TieredWrites, PuttingAgainLiftsTheTombstone) {
  Open(WriteMode::kThrough);
  ASSERT_TRUE(Put(1).ok());
  object_->FailWith(absl::UnavailableError("down"));
  EXPECT_FALSE(store_->Delete(Key(1)).ok());
  object_->FailWith(absl::OkStatus());
  ASSERT_TRUE(Put(1).ok());
  ASSERT_TRUE(memory_->Delete(Key(1)).ok());
  ASSERT_TRUE(disk_->Delete(Key(1)).ok());
  ASSERT_TRUE(redis_->Delete(Key(1)).ok());
  EXPECT_EQ(store_->Get(Key(1))->tier, Tier::kObject);
}

TEST_F(TieredWrites, PinsHoldWhereTheChunkLies) {
  Open(WriteMode::kThrough);
  const absl::Time later = clock_.Now() + absl::Hours(1);
  EXPECT_TRUE(absl::IsNotFound(store_->Pin(Key(1), "job", later)));
  ASSERT_TRUE(Put(1).ok());
  ASSERT_TRUE(store_->Pin(Key(1), "job", later).ok());
  for (int seed = 2; seed <= 12; ++seed) {
    clock_.Advance(absl::Seconds(1));
    ASSERT_TRUE(disk_->Put(MakeTestChunk(seed)).ok());
  }
  EXPECT_TRUE(disk_->Contains(Key(1)).value());
  EXPECT_TRUE(store_->Unpin(Key(1), "job").ok());
}

TEST_F(TieredWrites, OrderAndNumberOfTiersAreChecked) {
  EXPECT_TRUE(absl::IsInvalidArgument(TieredChunkStore::Open({}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      TieredChunkStore::Open({{redis_, Tier::kRedis, true}, {object_, Tier::kDisk}}).status()));
  EXPECT_TRUE(TieredChunkStore::Open({{redis_, Tier::kRedis, true}}, {.write_mode = WriteMode::kBack}).ok());
}

}  // namespace
}  // namespace cacheclip
