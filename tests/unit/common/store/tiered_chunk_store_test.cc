#include "common/store/tiered_chunk_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "common/store/memory_chunk_store.h"
#include "tests/support/disk_harness.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

// Memory with two thirds of the room over disk with all of it.
class TieredHarness : public StoreHarness {
 public:
  explicit TieredHarness(const StoreLimits& limits)
      : disk_(DiskChunkStore::Open({.folder = folder_.path(),
                                    .max_bytes = limits.max_bytes,
                                    .max_objects = limits.max_objects,
                                    .clock = &clock()})
                  .value()),
        store_(
            std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{.max_bytes = limits.max_bytes * 2 / 3,
                                                                       .max_objects = limits.max_objects / 2,
                                                                       .clock = &clock()}),
            disk_) {}
  ChunkStore& store() override { return store_; }
  bool Corrupt(const ChunkKey& key) override {
    store_.fast().Delete(key).IgnoreError();
    const std::string path = ObjectFile(folder_.path(), key);
    FlipBit(path, static_cast<int64_t>(std::filesystem::file_size(path)) / 2);
    return true;
  }

 private:
  TempFolder folder_;
  std::shared_ptr<DiskChunkStore> disk_;
  TieredChunkStore store_;
};

std::unique_ptr<StoreHarness> MakeTieredHarness(const StoreLimits& limits) {
  return std::make_unique<TieredHarness>(limits);
}

INSTANTIATE_TEST_SUITE_P(Tiered, ChunkStoreContract, testing::Values(StoreHarnessFactory(MakeTieredHarness)));

// A slow tier in memory whose Get() counts, can be held at a gate, and whose Put() can fail.
class GatedStore : public MemoryChunkStore {
 public:
  GatedStore() : MemoryChunkStore({}) {}
  absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) override {
    auto hit = MemoryChunkStore::Get(key, options);
    ++num_gets;
    while (closed) std::this_thread::yield();
    return hit;
  }
  absl::Status Put(std::shared_ptr<const EncodedChunk> chunk) override {
    return full ? absl::ResourceExhaustedError("disk full") : MemoryChunkStore::Put(std::move(chunk));
  }
  std::atomic<int> num_gets{0};
  std::atomic<bool> closed{false}, full{false};
};

class TieredChunkStoreTest : public testing::Test {
 protected:
  std::shared_ptr<MemoryChunkStore> fast_ = std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{});
  std::shared_ptr<GatedStore> slow_ = std::make_shared<GatedStore>();
  TieredChunkStore store_{fast_, slow_};
  const std::shared_ptr<const EncodedChunk> chunk_ = MakeTestChunk(1);
};

TEST_F(TieredChunkStoreTest, PromotesAHitAndNamesTheTierThatServedIt) {
  TempFolder folder;
  std::shared_ptr<ChunkStore> disk = DiskChunkStore::Open({.folder = folder.path()}).value();
  ASSERT_TRUE(disk->Put(chunk_).ok());
  TieredChunkStore store(fast_, disk);
  EXPECT_EQ(store.Get(chunk_->key())->tier, Tier::kDisk);
  EXPECT_EQ(store.Get(chunk_->key())->tier, Tier::kMemory);
  EXPECT_EQ(store.stats().hits, 2);
}

TEST_F(TieredChunkStoreTest, PromotedChunkDoesNotDependOnTheFile) {
  TempFolder folder;
  std::shared_ptr<ChunkStore> disk = DiskChunkStore::Open({.folder = folder.path()}).value();
  ASSERT_TRUE(disk->Put(chunk_).ok());
  TieredChunkStore store(fast_, disk);
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
  ASSERT_TRUE(PollUntil([&] { return slow_->num_gets > 0 && fast_->stats().misses == 4; }));
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
  slow_->full = true;
  EXPECT_TRUE(absl::IsResourceExhausted(store_.Put(chunk_)));
  EXPECT_EQ(store_.Get(chunk_->key())->tier, Tier::kMemory);
  EXPECT_EQ(store_.stats().rejected_puts, 1);
}

TEST_F(TieredChunkStoreTest, CopiesBetweenTiersStayWithinTheirBound) {
  TieredChunkStore store(fast_, slow_, {.max_in_flight_bytes = 2 * chunk_->total_bytes()});
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
  TieredChunkStore store(fast_, slow_, {.max_in_flight_bytes = 10});
  ASSERT_TRUE(slow_->Put(chunk_).ok());
  EXPECT_TRUE(store.Get(chunk_->key()).ok());
}

}  // namespace
}  // namespace cacheclip
