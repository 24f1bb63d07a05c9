#include "common/store/object/object_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/support/object_harness.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

class ObjectBudgetTest : public testing::Test {
 protected:
  // An object of 100 bytes under the chunk's name, as another process would put it.
  void PutObject(int32_t seed) {
    clock_.Advance(absl::Seconds(1));
    const std::string name = ChunkObjectName(MakeTestChunk(seed)->key());
    ASSERT_TRUE(client_->Put(name, BytesOf(std::string(100, 'x')), PutMode::kReplace, NoDeadline()).ok());
  }
  bool Holds(int32_t seed) {
    return client_->Head(ChunkObjectName(MakeTestChunk(seed)->key()), NoDeadline()).ok();
  }

  static ChunkKey Key(int32_t seed) { return MakeTestChunk(seed)->key(); }

  TempFolder folder_;
  FakeClock clock_;
  std::unique_ptr<ObjectClient> client_ =
      FolderObjectClient::Open({.folder = folder_.path(), .clock = &clock_}).value();
  ObjectPins pins_{client_.get(), &clock_};
};

TEST_F(ObjectBudgetTest, CountsWhatWasThereBeforeItMakesRoom) {
  for (int32_t seed : {1, 2, 3}) PutObject(seed);
  ObjectBudget budget(client_.get(), &pins_, {.max_bytes = 350});
  ASSERT_TRUE(budget.Reserve(Key(9), 100, NoDeadline()).value());
  EXPECT_FALSE(Holds(1));
  EXPECT_TRUE(Holds(2) && Holds(3));
  EXPECT_EQ(budget.usage().bytes, 300);
  EXPECT_EQ(budget.evictions(), 1);
}

TEST_F(ObjectBudgetTest, ReservedBytesCountUntilTheyAreGivenBack) {
  ObjectBudget budget(client_.get(), &pins_, {.max_bytes = 250});
  ASSERT_TRUE(budget.Reserve(Key(1), 100, NoDeadline()).value());
  ASSERT_TRUE(budget.Reserve(Key(2), 100, NoDeadline()).value());
  EXPECT_FALSE(budget.Fits(100));
  EXPECT_TRUE(absl::IsResourceExhausted(budget.Reserve(Key(3), 100, NoDeadline()).status()));
  budget.Cancel(Key(1));
  EXPECT_TRUE(budget.Fits(100));
  budget.Commit(Key(2));
  EXPECT_EQ(budget.usage().bytes, 100);
  EXPECT_EQ(budget.usage().objects, 1);
}

TEST_F(ObjectBudgetTest, AnObjectIsCountedOnceWhileItIsPut) {
  ObjectBudget budget(client_.get(), &pins_, {.max_bytes = 1000});
  ASSERT_TRUE(budget.Reserve(Key(1), 100, NoDeadline()).value());
  PutObject(1);
  ASSERT_TRUE(budget.ForEach([](const ChunkKey&, int64_t) {}, NoDeadline()).ok());
  EXPECT_EQ(budget.usage().bytes, 100);
  budget.Cancel(Key(1));  // another writer was first
  EXPECT_EQ(budget.usage().bytes, 100);
  EXPECT_EQ(budget.usage().objects, 1);
}

TEST_F(ObjectBudgetTest, TwoThreadsNeverPutOneChunkAtOnce) {
  ObjectBudget budget(client_.get(), &pins_, {});
  ASSERT_TRUE(budget.Reserve(Key(1), 100, NoDeadline()).value());
  const CancellationToken late(clock_.Now() - absl::Seconds(1), {}, &clock_);
  EXPECT_TRUE(absl::IsDeadlineExceeded(budget.Reserve(Key(1), 100, late).status()));
  std::atomic<bool> is_waiting{false};
  const CancellationToken watched(absl::InfiniteFuture(), [&] { return is_waiting = true, false; });
  std::thread other([&] { EXPECT_FALSE(budget.Reserve(Key(1), 100, watched).value()) << "look again"; });
  EXPECT_TRUE(PollUntil([&] { return is_waiting.load(); }));
  budget.Commit(Key(1));
  other.join();
  EXPECT_EQ(budget.usage().objects, 1);
}

TEST_F(ObjectBudgetTest, WhatWasUsedSinceTheListingStays) {
  for (int32_t seed : {1, 2, 3, 4}) PutObject(seed);
  ObjectBudget budget(client_.get(), &pins_, {.max_bytes = 499});
  ASSERT_TRUE(budget.Reserve(Key(9), 100, NoDeadline()).value());
  budget.Commit(Key(9));
  PutObject(5);
  EXPECT_FALSE(Holds(1));
  clock_.Advance(absl::Seconds(1));
  client_->MarkUsed(ChunkObjectName(MakeTestChunk(2)->key()), NoDeadline());
  ASSERT_TRUE(budget.Reserve(Key(9), 100, NoDeadline()).value());
  EXPECT_TRUE(Holds(2));
  EXPECT_FALSE(Holds(3));
}

TEST_F(ObjectBudgetTest, ForeignObjectsAreNeitherCountedNorEvicted) {
  ASSERT_TRUE(client_->Put("chunks/readme.txt", BytesOf("hello"), PutMode::kReplace, NoDeadline()).ok());
  PutObject(1);
  ObjectBudget budget(client_.get(), &pins_, {.max_bytes = 100});
  ASSERT_TRUE(budget.Reserve(Key(9), 100, NoDeadline()).value());
  EXPECT_FALSE(Holds(1));
  EXPECT_TRUE(client_->Head("chunks/readme.txt", NoDeadline()).ok());
}

TEST_F(ObjectBudgetTest, WithoutLimitsAListingSetsTheCountsRight) {
  ObjectBudget budget(client_.get(), &pins_, {});
  ASSERT_TRUE(budget.Reserve(Key(9), 70, NoDeadline()).value());
  budget.Commit(Key(9));
  for (int32_t seed : {1, 2, 3}) PutObject(seed);
  EXPECT_EQ(budget.usage().bytes, 70);
  int visits = 0;
  ASSERT_TRUE(
      budget.ForEach([&](const ChunkKey&, int64_t bytes) { visits += bytes == 100; }, NoDeadline()).ok());
  EXPECT_EQ(visits, 3);
  EXPECT_EQ(budget.usage().bytes, 300);
  EXPECT_EQ(budget.usage().objects, 3);
  ASSERT_TRUE(budget.Remove(MakeTestChunk(1)->key(), NoDeadline()).ok());
  ASSERT_TRUE(budget.Remove(MakeTestChunk(1)->key(), NoDeadline()).ok());
  EXPECT_EQ(budget.usage().bytes, 200);
}

}  // namespace
}  // namespace cacheclip
