#include "common/store/object/object_fetcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/object_harness.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

class ObjectFetcherTest : public testing::Test {
 protected:
  ObjectFetcherTest() {
    const auto folder = FolderObjectClient::Open({.folder = folder_.path()}).value();
    for (int32_t seed = 1; seed <= 20; ++seed) {
      const auto chunk = Chunk(seed);
      EXPECT_TRUE(
          folder->Put(ChunkObjectName(chunk->key()), chunk->image(), PutMode::kReplace, NoDeadline()).ok());
    }
  }
  static std::shared_ptr<const EncodedChunk> Chunk(int32_t seed) {
    return MakeTestChunk(
        TestChunkOptions{.seed = seed, .num_tokens = 20, .shape = {6, 2, 8, KvDtype::kBf16}});
  }
  void Start(ObjectFetcherOptions options = {}) {
    options.max_chunk_bytes = 1 << 20;
    if (options.max_fetching_bytes == 0) options.max_fetching_bytes = 1 << 20;
    options.first_read_bytes = 1024;
    options.range_bytes = 1000;
    options.on_damaged = [this](const ChunkKey&, const absl::Status&) { ++num_damaged_; };
    fetcher_.emplace(&client_, options);
  }
  // Reads wait until Release(), except for a cancelled token's: that is what a hanging server does.
  absl::Status WaitForRelease(const CancellationToken& token) {
    ++num_held_;
    EXPECT_TRUE(PollUntil([&] { return !is_held_ || !token.Check().ok(); }));
    --num_held_;
    return token.Check();
  }
  ~ObjectFetcherTest() override { is_held_ = false; }

  TempFolder folder_;
  std::atomic<bool> is_held_{false};
  std::atomic<int> num_held_{0}, num_damaged_{0};
  WatchedObjectClient client_{
      FolderObjectClient::Open({.folder = folder_.path()}).value(),
      {.before_read = [this](std::string_view, int64_t, const CancellationToken& token) {
        return is_held_ ? WaitForRelease(token) : absl::OkStatus();
      }}};
  std::optional<ObjectFetcher> fetcher_;
};

TEST_F(ObjectFetcherTest, ManyCallersGetTheirChunks) {
  Start({.num_threads = 4, .max_threads_per_chunk = 3, .max_queued_chunks = 64});
  std::vector<std::thread> callers;
  std::atomic<int> num_right{0};
  for (int32_t seed = 1; seed <= 20; ++seed)
    callers.emplace_back([&, seed] {
      const auto opened = fetcher_->Fetch(Chunk(seed)->key(), absl::Seconds(60));
      if (!opened.ok() || !opened->arrival->WaitForAll(absl::InfiniteFuture()).ok()) return;
      if (std::ranges::equal(opened->chunk->image(), Chunk(seed)->image())) ++num_right;
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(num_right, 20);
  EXPECT_EQ(num_damaged_, 0);
}

TEST_F(ObjectFetcherTest, CallersBeyondTheQueueAreRefusedAtOnce) {
  is_held_ = true;
  Start({.num_threads = 1, .max_threads_per_chunk = 1, .max_queued_chunks = 2});
  std::thread first([&] { EXPECT_TRUE(fetcher_->Fetch(Chunk(1)->key(), absl::Seconds(60)).ok()); });
  ASSERT_TRUE(PollUntil([&] { return num_held_ == 1; }));
  for (int32_t seed : {2, 3})
    EXPECT_TRUE(
        absl::IsDeadlineExceeded(fetcher_->Fetch(Chunk(seed)->key(), absl::Milliseconds(1)).status()));
  EXPECT_TRUE(absl::IsUnavailable(fetcher_->Fetch(Chunk(4)->key(), absl::Seconds(60)).status()));
  is_held_ = false;
  first.join();
  EXPECT_TRUE(PollUntil([&] { return fetcher_->Fetch(Chunk(4)->key(), absl::Seconds(60)).ok(); }));
}

TEST_F(ObjectFetcherTest, AHangingPlaceHoldsNoCallerBeyondItsDeadline) {
  is_held_ = true;
  Start({.num_threads = 2, .max_threads_per_chunk = 2, .max_queued_chunks = 100});
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(absl::IsDeadlineExceeded(fetcher_->Fetch(Chunk(1)->key(), absl::Milliseconds(20)).status()));
  is_held_ = false;
  EXPECT_TRUE(fetcher_->Fetch(Chunk(1)->key(), absl::Seconds(60)).ok()) << "works again";
}

TEST_F(ObjectFetcherTest, BytesInFlightAreBounded) {
  Start({.max_fetching_bytes = Chunk(1)->total_bytes() + 100,
         .num_threads = 2,
         .max_threads_per_chunk = 1,
         .max_queued_chunks = 10});
  const auto first = fetcher_->Fetch(Chunk(1)->key(), absl::Seconds(60));
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(first->arrival->WaitForAll(absl::InfiniteFuture()).ok());
  EXPECT_TRUE(PollUntil([&] { return fetcher_->Fetch(Chunk(2)->key(), absl::Seconds(60)).ok(); }))
      << "given back";
  Start({.max_fetching_bytes = 100, .num_threads = 1, .max_threads_per_chunk = 1, .max_queued_chunks = 10});
  EXPECT_TRUE(absl::IsUnavailable(fetcher_->Fetch(Chunk(1)->key(), absl::Seconds(60)).status()));
}

TEST_F(ObjectFetcherTest, ClosingFailsWhatIsArriving) {
  Start({.num_threads = 1, .max_threads_per_chunk = 1, .max_queued_chunks = 10});
  is_held_ = true;
  std::atomic<int> num_failed{0};
  std::vector<std::thread> callers;
  for (int32_t seed : {1, 2})
    callers.emplace_back([&, seed] {
      if (!fetcher_->Fetch(Chunk(seed)->key(), absl::Seconds(60)).ok()) ++num_failed;
    });
  ASSERT_TRUE(PollUntil([&] { return num_held_ == 1; }));
  fetcher_->Stop();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(num_failed, 2);
  EXPECT_TRUE(absl::IsUnavailable(fetcher_->Fetch(Chunk(3)->key(), absl::Seconds(60)).status()));
}

}  // namespace
}  // namespace cacheclip
