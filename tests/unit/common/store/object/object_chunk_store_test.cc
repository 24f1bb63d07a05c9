// The object tier on a folder and on a real S3 server: the store contract, arriving chunks, and faults
// between the tier and the server.
#include "common/store/object/object_chunk_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/object_harness.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

INSTANTIATE_TEST_SUITE_P(Folder, ChunkStoreContract,
                         testing::Values(StoreHarnessFactory([](const StoreLimits& limits) {
                           return std::make_unique<FolderStoreHarness>(limits);
                         })));

std::vector<StoreHarnessFactory> S3Harnesses() {
  if (!S3Server::IsInstalled()) return {};
  return {[](const StoreLimits&) { return std::make_unique<S3StoreHarness>(S3Server::Plain()); },
          [](const StoreLimits&) { return std::make_unique<S3StoreHarness>(S3Server::Tls()); }};
}
INSTANTIATE_TEST_SUITE_P(S3, ChunkStoreContract, testing::ValuesIn(S3Harnesses()));

TEST(ObjectChunkStoreOnS3, HasItsServer) { CACHECLIP_REQUIRE_S3_SERVER(); }

const TestChunkOptions kLayered{.seed = 5, .num_tokens = 64, .shape = {12, 2, 16, KvDtype::kBf16}};

class ObjectChunkStoreFaults : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_REQUIRE_S3_SERVER();
    proxy_ = std::make_unique<FaultProxy>(S3Server::Plain().address());
    bucket_ = S3Server::Plain().MakeBucket();
    store_ = Open();
  }
  // Small reads, so that a chunk takes many.
  std::unique_ptr<ObjectChunkStore> Open() {
    ObjectChunkStoreOptions options;
    options.first_read_bytes = 2048;
    options.range_bytes = 8192;
    return ObjectChunkStore::Create(
               S3ObjectClient::Create(TestS3Options(proxy_->endpoint(), bucket_)).value(), options)
        .value();
  }
  std::string FileOf(const EncodedChunk& chunk) {
    return S3Server::Plain().ObjectFile(bucket_, "some/prefix/" + ChunkObjectName(chunk.key()));
  }

  const std::shared_ptr<const EncodedChunk> chunk_ = MakeTestChunk(kLayered);
  std::string bucket_;
  std::unique_ptr<FaultProxy> proxy_;
  std::unique_ptr<ObjectChunkStore> store_;
};

// At this speed the chunk takes hours: the test ends because the deadline ends the reads.
TEST_F(ObjectChunkStoreFaults, AnAnswerThatTricklesEndsAtTheDeadline) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  proxy_->Decide([](const ProxyRequest&) { return Fault::Trickle(1, 100); });
  const auto soon = [] { return absl::Now() + absl::Milliseconds(300); };
  const auto whole = store_->Get(chunk_->key(), {.deadline = soon()});
  EXPECT_TRUE(absl::IsDeadlineExceeded(whole.status())) << whole.status();
  const auto unknown = store_->Get(chunk_->key(), {.deadline = soon(), .accept_arriving = true});
  EXPECT_TRUE(absl::IsDeadlineExceeded(unknown.status())) << unknown.status() << ": not even the header came";

  const int64_t slow_from = chunk_->slices()[4].offset;
  proxy_->Decide([&](const ProxyRequest& request) {
    const auto range = request.headers.find("range");
    const bool is_slow = range != request.headers.end() && std::stoll(range->second.substr(6)) >= slow_from;
    return is_slow ? Fault::Trickle(1, 100) : Fault::Pass();
  });
  const auto arriving =
      store_->Get(chunk_->key(), {.deadline = absl::Now() + absl::Seconds(2), .accept_arriving = true});
  ASSERT_TRUE(arriving.ok()) << arriving.status();
  ASSERT_TRUE(arriving->arrival->WaitForLayer(0, absl::InfiniteFuture()).ok());
  EXPECT_TRUE(std::ranges::equal(arriving->chunk->Keys(0), chunk_->Keys(0)));
  const absl::Status rest = arriving->arrival->WaitForAll(absl::InfiniteFuture());
  EXPECT_TRUE(absl::IsDeadlineExceeded(rest) || absl::IsUnavailable(rest)) << rest;

  proxy_->Decide([](const ProxyRequest&) { return Fault::Trickle(4096, 1); });
  const auto slow = store_->Get(chunk_->key());
  ASSERT_TRUE(slow.ok()) << slow.status();
  EXPECT_TRUE(std::ranges::equal(slow->chunk->image(), chunk_->image()));
  EXPECT_EQ(store_->stats().corrupt, 0) << "late is not damaged: nothing was deleted";
}

TEST_F(ObjectChunkStoreFaults, FirstLayersAreUsableWhileLaterOnesHang) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  const int64_t held_from = chunk_->slices()[4].offset;
  std::atomic<bool> is_held{true};
  proxy_->Decide([&](const ProxyRequest& request) {
    const auto range = request.headers.find("range");
    if (range == request.headers.end() || !is_held) return Fault::Pass();
    return std::stoll(range->second.substr(6)) >= held_from ? Fault::Stall() : Fault::Pass();
  });
  const auto hit = store_->Get(chunk_->key(), {.accept_arriving = true});
  ASSERT_TRUE(hit.ok()) << hit.status();
  EXPECT_EQ(hit->chunk->header(), chunk_->header());
  ASSERT_NE(hit->arrival, nullptr);
  ASSERT_TRUE(hit->arrival->WaitForLayer(0, absl::InfiniteFuture()).ok());
  EXPECT_TRUE(std::ranges::equal(hit->chunk->Keys(0), chunk_->Keys(0)));
  EXPECT_TRUE(absl::IsDeadlineExceeded(hit->arrival->WaitForAll(absl::Now())));
  hit->arrival->Abandon();
  EXPECT_FALSE(hit->arrival->WaitForAll(absl::InfiniteFuture()).ok());
  is_held = false;
  EXPECT_TRUE(store_->Get(chunk_->key()).ok());
}

TEST_F(ObjectChunkStoreFaults, ABitFlippedInAnyLayerIsDeletedAndNeverServed) {
  for (int32_t layer = 0; layer < kLayered.shape.num_layers; ++layer) {
    ASSERT_TRUE(store_->Put(chunk_).ok());
    FlipBitOfFile(FileOf(*chunk_), chunk_->slices()[layer].offset + 7);
    const auto arriving = store_->Get(chunk_->key(), {.accept_arriving = layer % 2 == 0});
    const absl::Status status = !arriving.ok() ? arriving.status()
                                : arriving->arrival == nullptr
                                    ? absl::OkStatus()
                                    : arriving->arrival->WaitForAll(absl::InfiniteFuture());
    EXPECT_TRUE(absl::IsDataLoss(status)) << layer << ": " << status;
    EXPECT_TRUE(absl::IsNotFound(store_->Get(chunk_->key()).status())) << layer;
  }
  EXPECT_EQ(store_->stats().corrupt, kLayered.shape.num_layers);
}

TEST_F(ObjectChunkStoreFaults, ATruncatedObjectIsDeleted) {
  for (const int64_t bytes :
       {int64_t{0}, int64_t{100}, int64_t{300}, chunk_->total_bytes() / 2, chunk_->total_bytes() - 1}) {
    ASSERT_TRUE(store_->Put(chunk_).ok());
    std::filesystem::resize_file(FileOf(*chunk_), bytes);
    EXPECT_TRUE(absl::IsDataLoss(store_->Get(chunk_->key()).status())) << bytes;
    EXPECT_FALSE(store_->Contains(chunk_->key()).value()) << bytes;
  }
}

TEST_F(ObjectChunkStoreFaults, BitsBrokenOnTheWayDoNotCostTheObject) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  std::atomic<int> num_flips{0};
  proxy_->Decide([&](const ProxyRequest& request) {
    return request.headers.contains("range") && num_flips++ % 2 == 0 ? Fault::Flip(1500) : Fault::Pass();
  });
  ObjectChunkStoreOptions one_by_one;
  one_by_one.num_fetch_threads = 1;
  one_by_one.first_read_bytes = 4096;
  store_ = ObjectChunkStore::Create(
               S3ObjectClient::Create(TestS3Options(proxy_->endpoint(), bucket_)).value(), one_by_one)
               .value();
  const auto hit = store_->Get(chunk_->key());
  ASSERT_TRUE(hit.ok()) << hit.status();
  EXPECT_TRUE(std::ranges::equal(hit->chunk->image(), chunk_->image()));
  EXPECT_EQ(store_->stats().corrupt, 0);
}

TEST_F(ObjectChunkStoreFaults, AServerThatNeverAnswersHoldsNobodyBeyondTheDeadline) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  proxy_->Decide([](const ProxyRequest&) { return Fault::Stall(); });
  for (const bool accept_arriving : {false, true})
    EXPECT_TRUE(
        absl::IsDeadlineExceeded(store_
                                     ->Get(chunk_->key(), {.deadline = absl::Now() + absl::Milliseconds(50),
                                                           .accept_arriving = accept_arriving})
                                     .status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(store_->Get(chunk_->key(), {.deadline = absl::Now()}).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(store_->Probe(absl::Now() + absl::Milliseconds(50))));
}

// What comes back is the chunk, a miss or a clear error; and after the faults everything works again.
TEST_F(ObjectChunkStoreFaults, RandomFaultsNeverChangeAChunk) {
  std::mt19937 random(11);
  proxy_->Decide([&](const ProxyRequest&) {
    switch (random() % 12) {
      case 0:
        return Fault::Respond(503);
      case 1:
        return Fault::Reset();
      case 2:
        return Fault::Cut(static_cast<int64_t>(random() % 4096));
      case 3:
        return Fault::Flip(static_cast<int64_t>(random() % 100'000));
      case 4:
        return Fault::Lose();
      default:
        return Fault::Pass();
    }
  });
  std::vector<std::shared_ptr<const EncodedChunk>> chunks;
  for (int32_t seed = 1; seed <= 5; ++seed)
    chunks.push_back(
        MakeTestChunk(TestChunkOptions{.seed = seed, .num_tokens = 64, .shape = kLayered.shape}));
  int num_served = 0;
  for (int round = 0; round < 60; ++round) {
    const auto& chunk = chunks[random() % chunks.size()];
    store_->Put(chunk).IgnoreError();
    const auto hit = store_->Get(chunk->key());
    if (!hit.ok()) continue;
    ++num_served;
    ASSERT_TRUE(std::ranges::equal(hit->chunk->image(), chunk->image()));
  }
  EXPECT_GT(num_served, 20);
  proxy_->Decide([](const ProxyRequest&) { return Fault::Pass(); });
  for (const auto& chunk : chunks) {
    ASSERT_TRUE(store_->Put(chunk).ok());
    ASSERT_TRUE(store_->Get(chunk->key()).ok());
  }
}

TEST_F(ObjectChunkStoreFaults, TwoInstancesShareTheirChunks) {
  const auto other = Open();
  ASSERT_TRUE(store_->Put(chunk_).ok());
  EXPECT_TRUE(other->Get(chunk_->key()).ok());
  EXPECT_EQ(other->stats().puts, 0);
  ASSERT_TRUE(other->Put(chunk_).ok());
  EXPECT_EQ(other->stats().puts, 0) << "it was there";
  ASSERT_TRUE(other->Delete(chunk_->key()).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->Get(chunk_->key()).status()));
}

// A pipe that nobody writes to stands for a file system that hangs.
TEST(ObjectChunkStoreOnAFolder, AFileSystemThatHangsHoldsNobodyBeyondTheDeadline) {
  TempFolder folder;
  const auto store =
      ObjectChunkStore::Create(FolderObjectClient::Open({.folder = folder.path()}).value(), {}).value();
  const ChunkKey key = MakeTestChunk(1)->key();
  const std::string path = folder.path() + "/" + ChunkObjectName(key);
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(store->Get(key, {.deadline = absl::Now() + absl::Milliseconds(20)}).status()));
  std::ofstream end_of_the_hang(path);
}

TEST(ObjectChunkStoreOnAFolder, RefusesBadOptionsByName) {
  TempFolder folder;
  const auto field = [&](ObjectChunkStoreOptions options) {
    return FieldOf(
        ObjectChunkStore::Create(FolderObjectClient::Open({.folder = folder.path()}).value(), options)
            .status());
  };
  EXPECT_EQ(field({.max_bytes = 0}), "max_bytes");
  EXPECT_EQ(field({.first_read_bytes = 100}), "first_read_bytes");
  EXPECT_EQ(field({.num_fetch_threads = 0}), "num_fetch_threads");
}

}  // namespace
}  // namespace cacheclip
