#include "common/store/write_back_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "tests/support/poll.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

ChunkKey Key(int seed) { return MakeTestChunk(seed)->key(); }

class WriteBackQueueTest : public testing::Test {
 protected:
  std::unique_ptr<WriteBackQueue> Open(WriteBackOptions options = {},
                                       absl::Duration first_retry_delay = absl::Milliseconds(1)) {
    options.folder = folder_.path() + "/journal";
    options.first_retry_delay = first_retry_delay;
    options.max_retry_delay = 4 * first_retry_delay;
    auto queue = WriteBackQueue::Open(options, [this](const ChunkKey& key) { return Write(key); }).value();
    queue->Start();
    return queue;
  }
  absl::Status Write(const ChunkKey& key) {
    if (const auto step = std::exchange(before_end_, nullptr)) step();
    std::lock_guard lock(mutex_);
    if (failure_.ok()) written_.push_back(key);
    return failure_;
  }
  void FailWith(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    failure_ = status;
  }
  std::vector<ChunkKey> written() {
    std::lock_guard lock(mutex_);
    return written_;
  }

  TempFolder folder_;
  std::function<void()> before_end_;  // once: what happens between a write and what the queue makes of it
  std::mutex mutex_;
  absl::Status failure_;
  std::vector<ChunkKey> written_;
};

TEST_F(WriteBackQueueTest, WritesInTheBackground) {
  const auto queue = Open();
  ASSERT_TRUE(queue->Add(Key(1), 100).ok());
  ASSERT_TRUE(queue->Add(Key(2), 200).ok());
  ASSERT_TRUE(queue->WaitUntilEmpty(absl::Seconds(60)));
  EXPECT_EQ(written(), (std::vector<ChunkKey>{Key(1), Key(2)}));
  EXPECT_EQ(queue->stats().written, 2);
  EXPECT_EQ(queue->stats().queued_bytes, 0);
  EXPECT_FALSE(queue->IsQueued(Key(1)));
}

TEST_F(WriteBackQueueTest, WhatIsDeletedAndAddedWhileItIsWrittenIsWrittenOnceMore) {
  std::unique_ptr<WriteBackQueue> queue;
  before_end_ = [&] {
    queue->Forget(Key(1));
    EXPECT_TRUE(queue->Add(Key(1), 100).ok());
  };
  queue = Open();
  ASSERT_TRUE(queue->Add(Key(1), 100).ok());
  ASSERT_TRUE(queue->WaitUntilEmpty(absl::Seconds(60)));
  EXPECT_EQ(written(), (std::vector<ChunkKey>{Key(1), Key(1)}));
  EXPECT_EQ(queue->stats().written, 1) << "of the entries: the first was forgotten";
  EXPECT_EQ(queue->stats().queued_bytes, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() + "/journal"));
}

TEST_F(WriteBackQueueTest, WhatIsAddedWhileItIsWrittenIsWrittenOnceMore) {
  std::unique_ptr<WriteBackQueue> queue;
  before_end_ = [&] {
    EXPECT_TRUE(queue->Add(Key(1), 100).ok());
    EXPECT_TRUE(queue->Add(Key(1), 100).ok());
  };
  queue = Open();
  ASSERT_TRUE(queue->Add(Key(1), 100).ok());
  ASSERT_TRUE(queue->WaitUntilEmpty(absl::Seconds(60)));
  EXPECT_EQ(written(), (std::vector<ChunkKey>{Key(1), Key(1)}));
  EXPECT_EQ(queue->stats().queued_chunks, 0);
}

TEST_F(WriteBackQueueTest, AFailedWriteOfADeletedChunkDoesNotQueueItsSuccessorTwice) {
  std::unique_ptr<WriteBackQueue> queue;
  FailWith(absl::UnavailableError("down"));
  before_end_ = [&] {
    queue->Forget(Key(1));
    EXPECT_TRUE(queue->Add(Key(1), 100).ok());
  };
  queue = Open();
  ASSERT_TRUE(queue->Add(Key(1), 100).ok());
  ASSERT_TRUE(PollUntil([&] { return queue->stats().retries > 0; }));
  FailWith(absl::OkStatus());
  ASSERT_TRUE(queue->WaitUntilEmpty(absl::Seconds(60)));
  EXPECT_EQ(written(), std::vector<ChunkKey>{Key(1)});
}

TEST_F(WriteBackQueueTest, TriesAgainUntilTheTierIsBack) {
  FailWith(absl::UnavailableError("down"));
  const auto queue = Open();
  ASSERT_TRUE(queue->Add(Key(1), 100).ok());
  ASSERT_TRUE(queue->Add(Key(2), 100).ok());
  ASSERT_TRUE(PollUntil([&] { return queue->stats().retries > 3; }));
  EXPECT_EQ(queue->stats().queued_chunks, 2);
  FailWith(absl::OkStatus());
  ASSERT_TRUE(queue->WaitUntilEmpty(absl::Seconds(60)));
  EXPECT_EQ(written().size(), 2u);
}

TEST_F(WriteBackQueueTest, WaitingForTheEndDoesNotSitOutTheRetryDelay) {
  FailWith(absl::UnavailableError("down"));
  const auto queue = Open({}, absl::Hours(1));
  ASSERT_TRUE(queue->Add(Key(1), 100).ok());
  ASSERT_TRUE(PollUntil([&] { return queue->stats().retries == 1; }));
  FailWith(absl::OkStatus());
  EXPECT_TRUE(queue->WaitUntilEmpty(absl::Seconds(60)));
  EXPECT_EQ(written(), std::vector<ChunkKey>{Key(1)});
}

TEST_F(WriteBackQueueTest, SurvivesARestart) {
  FailWith(absl::UnavailableError("down"));
  {
    const auto queue = Open();
    for (int seed : {1, 2, 3}) ASSERT_TRUE(queue->Add(Key(seed), 100).ok());
    queue->Forget(Key(2));
  }
  FailWith(absl::OkStatus());
  const auto again = Open();
  ASSERT_TRUE(again->WaitUntilEmpty(absl::Seconds(60)));
  EXPECT_EQ(written().size(), 2u);
  EXPECT_EQ(again->stats().written, 2);
  written_.clear();
  EXPECT_TRUE(Open()->WaitUntilEmpty(absl::ZeroDuration())) << "what is written is not written again";
  EXPECT_TRUE(written().empty());
}

TEST_F(WriteBackQueueTest, AFullQueueRefusesVisibly) {
  FailWith(absl::UnavailableError("down"));
  const auto queue = Open({.max_bytes = 250, .max_chunks = 3});
  ASSERT_TRUE(queue->Add(Key(1), 100).ok());
  ASSERT_TRUE(queue->Add(Key(2), 100).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(queue->Add(Key(3), 100))) << "bytes";
  EXPECT_TRUE(queue->Add(Key(1), 100).ok()) << "queued already";
  ASSERT_TRUE(queue->Add(Key(4), 10).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(queue->Add(Key(5), 10))) << "chunks";
  EXPECT_EQ(queue->stats().refused, 2);
  EXPECT_EQ(queue->stats().queued_bytes, 210);
}

TEST_F(WriteBackQueueTest, WhatIsGoneIsCountedAsLost) {
  FailWith(absl::NotFoundError("evicted"));
  const auto queue = Open();
  ASSERT_TRUE(queue->Add(Key(1), 100).ok());
  ASSERT_TRUE(queue->WaitUntilEmpty(absl::Seconds(60)));
  EXPECT_EQ(queue->stats().lost, 1);
  EXPECT_EQ(queue->stats().written, 0);
}

TEST_F(WriteBackQueueTest, NeedsAFolder) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      WriteBackQueue::Open({}, [](const ChunkKey&) { return absl::OkStatus(); }).status()));
}

}  // namespace
}  // namespace cacheclip
