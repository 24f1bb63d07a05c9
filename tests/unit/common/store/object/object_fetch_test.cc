#include "common/store/object/object_fetch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/object_harness.h"

namespace cacheclip {
namespace {

// 6 layers of 2 x 20 tokens x 2 heads x 8 elements x 2 bytes = 1280 bytes each.
const TestChunkOptions kChunk{.seed = 3, .num_tokens = 20, .shape = {6, 2, 8, KvDtype::kBf16}};

class ObjectFetchTest : public testing::Test {
 protected:
  ObjectFetchTest() { Store(CopyImage(*chunk_)); }
  void Store(const std::vector<std::byte>& image) {
    const auto client = FolderObjectClient::Open({.folder = folder_.path()}).value();
    ASSERT_TRUE(client->Put(ChunkObjectName(chunk_->key()), image, PutMode::kReplace, NoDeadline()).ok());
  }
  void Watch(WatchedObjectClient::Hooks hooks) {
    client_ = std::make_unique<WatchedObjectClient>(
        FolderObjectClient::Open({.folder = folder_.path()}).value(), std::move(hooks));
  }
  std::unique_ptr<ObjectFetch> Start(absl::Time deadline = absl::InfiniteFuture()) {
    ObjectFetchOptions options;
    options.max_chunk_bytes = max_chunk_bytes_;
    options.first_read_bytes = first_read_bytes_;
    options.range_bytes = 2000;  // two layers
    options.reserve = [this](int64_t bytes) { return num_reserved_ += bytes, absl::OkStatus(); };
    options.release = [this](int64_t bytes) { num_reserved_ -= bytes; };
    options.on_damaged = [this](const absl::Status&) { ++num_damaged_; };
    return std::make_unique<ObjectFetch>(
        client_.get(), chunk_->key(), deadline, RealClock(), [this] { return is_stopping_.load(); }, options);
  }
  // The outcome of a whole fetch by one thread.
  absl::Status FetchAll() {
    const auto fetch = Start();
    fetch->Open();
    fetch->ReadRanges();
    const auto opened = fetch->WaitForHeader(absl::InfiniteFuture());
    if (!opened.ok()) return opened.status();
    const absl::Status arrived = opened->arrival->WaitForAll(absl::Now());
    EXPECT_TRUE(!arrived.ok() || std::ranges::equal(opened->chunk->image(), chunk_->image()));
    return arrived;
  }

  const std::shared_ptr<const EncodedChunk> chunk_ = MakeTestChunk(kChunk);
  TempFolder folder_;
  std::unique_ptr<ObjectClient> client_ = FolderObjectClient::Open({.folder = folder_.path()}).value();
  int64_t first_read_bytes_ = 1024, max_chunk_bytes_ = 1 << 20, num_reserved_ = 0;
  int num_damaged_ = 0;
  std::atomic<bool> is_stopping_{false};
};

TEST_F(ObjectFetchTest, FetchesTheSameBytesWhateverTheFirstReadHolds) {
  for (const int64_t bytes : {192, 200, 700, 1024, 3000, 100'000}) {
    first_read_bytes_ = bytes;
    EXPECT_TRUE(FetchAll().ok()) << bytes;
  }
  EXPECT_EQ(num_reserved_, 0);
  EXPECT_EQ(num_damaged_, 0);
}

TEST_F(ObjectFetchTest, LayersComeInOrderOneRangeAfterTheOther) {
  std::vector<int64_t> offsets;
  Watch({.before_read = [&](std::string_view, int64_t offset, const CancellationToken&) {
    offsets.push_back(offset);
    return absl::OkStatus();
  }});
  const auto fetch = Start();
  fetch->Open();
  const auto opened = fetch->WaitForHeader(absl::InfiniteFuture()).value();
  EXPECT_EQ(opened.chunk->header(), chunk_->header());
  EXPECT_TRUE(absl::IsDeadlineExceeded(opened.arrival->WaitForLayer(0, absl::Now())));
  fetch->ReadRanges();
  EXPECT_TRUE(opened.arrival->WaitForAll(absl::Now()).ok());
  ASSERT_EQ(offsets.size(), 5u) << "front, one layer, two, two, one";
  EXPECT_TRUE(std::ranges::is_sorted(offsets));
}

TEST_F(ObjectFetchTest, SeveralThreadsMayReadButLayersArePublishedInOrder) {
  std::mutex mutex;
  std::condition_variable changed;
  int num_reads = 0;
  bool is_first_range_held = true;
  Watch({.before_read = [&](std::string_view, int64_t offset, const CancellationToken&) {
    std::unique_lock lock(mutex);
    ++num_reads;
    changed.notify_all();
    const bool is_first_range = offset == chunk_->slices()[0].offset;
    changed.wait(lock, [&] { return !is_first_range || !is_first_range_held; });
    return absl::OkStatus();
  }});
  const auto fetch = Start();
  fetch->Open();
  const auto opened = fetch->WaitForHeader(absl::InfiniteFuture()).value();
  std::thread first([&] { fetch->ReadRanges(); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return num_reads == 2; });
  }
  fetch->ReadRanges();  // all other ranges
  EXPECT_TRUE(absl::IsDeadlineExceeded(opened.arrival->WaitForLayer(0, absl::Now())));
  EXPECT_TRUE(absl::IsDeadlineExceeded(opened.arrival->WaitForLayer(4, absl::Now()))) << "layer 0 is missing";
  {
    std::lock_guard lock(mutex);
    is_first_range_held = false;
  }
  changed.notify_all();
  first.join();
  EXPECT_TRUE(opened.arrival->WaitForAll(absl::Now()).ok());
}

// One of every 5 bytes of the front and of every 101 behind it.
TEST_F(ObjectFetchTest, ABitFlippedAnywhereIsDataLoss) {
  const int64_t payload = chunk_->slices()[0].offset;
  for (int64_t at = 0; at < chunk_->total_bytes(); at += at < payload ? 5 : 101) {
    std::vector<std::byte> image = CopyImage(*chunk_);
    image[at] ^= std::byte{4};
    Store(image);
    num_damaged_ = 0;
    ASSERT_TRUE(absl::IsDataLoss(FetchAll())) << at;
    ASSERT_EQ(num_damaged_, 1) << at;
  }
  EXPECT_EQ(num_reserved_, 0);
}

TEST_F(ObjectFetchTest, AnObjectCutOffAnywhereOrTooLongIsDataLoss) {
  for (int64_t bytes = 0; bytes < chunk_->total_bytes(); bytes += 61) {
    std::vector<std::byte> image = CopyImage(*chunk_);
    image.resize(bytes);
    Store(image);
    ASSERT_TRUE(absl::IsDataLoss(FetchAll())) << bytes;
  }
  std::vector<std::byte> longer = CopyImage(*chunk_);
  longer.push_back(std::byte{0});
  Store(longer);
  EXPECT_TRUE(absl::IsDataLoss(FetchAll()));
  Store(CopyImage(*MakeTestChunk(99)));
  EXPECT_TRUE(absl::IsDataLoss(FetchAll())) << "a chunk of another key";
}

TEST_F(ObjectFetchTest, WhatTheNetworkBrokeOnceIsReadAgain) {
  for (const int broken_read : {0, 1, 3}) {
    int num_reads = 0;
    Watch({.after_read = [&](int64_t, std::span<std::byte> bytes) {
      if (num_reads++ == broken_read) bytes[bytes.size() / 2] ^= std::byte{1};
    }});
    EXPECT_TRUE(FetchAll().ok()) << broken_read;
  }
  EXPECT_EQ(num_damaged_, 0);
}

TEST_F(ObjectFetchTest, AReadersLayersStayWhenALaterOneFails) {
  Watch({.before_read = [&](std::string_view, int64_t offset, const CancellationToken&) {
    return offset > chunk_->slices()[2].offset ? absl::UnavailableError("gone") : absl::OkStatus();
  }});
  const auto fetch = Start();
  fetch->Open();
  const auto opened = fetch->WaitForHeader(absl::InfiniteFuture()).value();
  fetch->ReadRanges();
  EXPECT_TRUE(opened.arrival->WaitForLayer(0, absl::Now()).ok());
  EXPECT_TRUE(std::ranges::equal(opened.chunk->Keys(0), chunk_->Keys(0)));
  EXPECT_TRUE(absl::IsUnavailable(opened.arrival->WaitForAll(absl::Now())));
  EXPECT_EQ(num_reserved_, 0);
}

TEST_F(ObjectFetchTest, StopsWhenNobodyWantsItAnyMore) {
  const auto abandoned = Start();
  abandoned->Open();
  abandoned->WaitForHeader(absl::InfiniteFuture())->arrival->Abandon();
  abandoned->ReadRanges();
  EXPECT_TRUE(absl::IsCancelled(
      abandoned->WaitForHeader(absl::InfiniteFuture())->arrival->WaitForAll(absl::InfiniteFuture())));
  is_stopping_ = true;
  EXPECT_TRUE(absl::IsCancelled(FetchAll()));
}

TEST_F(ObjectFetchTest, AHeaderThatIsLateIsNotWaitedFor) {
  const auto fetch = Start();
  EXPECT_TRUE(absl::IsDeadlineExceeded(fetch->WaitForHeader(absl::Now()).status()));
  fetch->Open();
  EXPECT_TRUE(absl::IsCancelled(fetch->WaitForHeader(absl::InfiniteFuture()).status()))
      << "given up: not read";
  const auto late = Start(absl::Now() - absl::Seconds(1));
  late->Open();
  EXPECT_TRUE(absl::IsDeadlineExceeded(late->WaitForHeader(absl::InfiniteFuture()).status()));
}

TEST_F(ObjectFetchTest, RefusesAChunkThatIsTooLarge) {
  max_chunk_bytes_ = chunk_->total_bytes() - 1;
  EXPECT_TRUE(absl::IsResourceExhausted(FetchAll()));
  EXPECT_EQ(num_damaged_, 0) << "it is intact";
}

}  // namespace
}  // namespace cacheclip
