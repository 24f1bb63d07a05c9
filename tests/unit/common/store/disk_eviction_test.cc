// How the disk folder counts and what it evicts (common/store/disk_eviction.cc).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/store/disk_chunk_store.h"
#include "tests/support/disk_harness.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

class DiskEviction : public testing::Test {
 protected:
  std::unique_ptr<DiskChunkStore> Open(int64_t num_chunks) {
    return DiskChunkStore::Open(
               {.folder = temp_.path(), .max_bytes = num_chunks * chunk_bytes_, .clock = &clock_})
        .value();
  }
  void PutLater(DiskChunkStore& store, int32_t seed) {
    clock_.Advance(absl::Seconds(1));
    ASSERT_TRUE(store.Put(MakeTestChunk(seed)).ok());
  }
  static bool Holds(DiskChunkStore& store, int32_t seed) {
    return store.Contains(MakeTestChunk(seed)->key()).value();
  }

  TempFolder temp_;
  FakeClock clock_;
  const int64_t chunk_bytes_ = MakeTestChunk(1)->total_bytes();
};

TEST_F(DiskEviction, SparesAChunkUsedSinceTheLastScan) {
  const auto store = Open(3);
  for (int seed : {1, 2, 3, 4})
    PutLater(*store, seed);  // the fourth scans: 2 and 3 are known as the next to go
  ASSERT_FALSE(Holds(*store, 1));
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(store->Get(MakeTestChunk(2)->key()).ok());
  PutLater(*store, 5);
  EXPECT_TRUE(Holds(*store, 2));
  EXPECT_FALSE(Holds(*store, 3));
}

TEST_F(DiskEviction, SparesAChunkPinnedSinceTheLastScan) {
  const auto store = Open(3);
  for (int seed : {1, 2, 3, 4}) PutLater(*store, seed);
  ASSERT_TRUE(store->Pin(MakeTestChunk(2)->key(), "job", clock_.Now() + absl::Hours(1)).ok());
  PutLater(*store, 5);
  EXPECT_TRUE(Holds(*store, 2));
}

TEST_F(DiskEviction, RecountsWhenTheCountIsLostOrDamaged) {
  const auto store = Open(3);
  for (int seed : {1, 2, 3}) PutLater(*store, seed);
  fs::remove(temp_.path() + "/usage");
  PutLater(*store, 4);
  EXPECT_EQ(store->stats().bytes, 3 * chunk_bytes_);
  FlipBit(temp_.path() + "/usage", 1);
  PutLater(*store, 5);
  EXPECT_EQ(store->stats().bytes, 3 * chunk_bytes_);
  EXPECT_EQ(ContentOf(temp_.path()).object_bytes, 3 * chunk_bytes_);
}

TEST_F(DiskEviction, CountThatIsTooHighIsSetRightBeforeAnythingIsRefused) {
  const auto store = Open(3);
  for (int seed : {1, 2, 3}) PutLater(*store, seed);
  for (int seed : {1, 2}) fs::remove(ObjectFile(temp_.path(), MakeTestChunk(seed)->key()));  // uncounted
  PutLater(*store, 4);
  EXPECT_TRUE(Holds(*store, 3)) << "nothing had to go";
  EXPECT_EQ(store->stats().bytes, 2 * chunk_bytes_);
}

TEST_F(DiskEviction, LeavesForeignFilesAlone) {
  const auto store = Open(1);
  std::ofstream(temp_.path() + "/objects/README") << "not ours";
  fs::create_directory(temp_.path() + "/objects/00");
  std::ofstream(temp_.path() + "/objects/00/notes.txt") << "not ours";
  for (int seed : {1, 2, 3}) PutLater(*store, seed);
  EXPECT_TRUE(fs::exists(temp_.path() + "/objects/README"));
  EXPECT_TRUE(fs::exists(temp_.path() + "/objects/00/notes.txt"));
  int64_t num_visited = 0;
  ASSERT_TRUE(store->ForEach([&](const ChunkKey&, int64_t) { ++num_visited; }).ok());
  EXPECT_EQ(num_visited, 1);
}

class DiskQuotas : public testing::Test {
 protected:
  std::unique_ptr<DiskChunkStore> Open() {
    return DiskChunkStore::Open({.folder = folder_.path(),
                                 .max_bytes = 10 * chunk_bytes_,
                                 .quotas = {.max_bytes = {{"small", 2 * chunk_bytes_}}},
                                 .watermarks = {.high = 0.8, .low = 0.5},
                                 .clock = &clock_})
        .value();
  }
  absl::Status Put(DiskChunkStore& store, int seed, std::string_view group) {
    clock_.Advance(absl::Seconds(1));
    return store.PutInGroup(MakeTestChunk(seed), group);
  }
  static bool Holds(DiskChunkStore& store, int seed) {
    return store.Contains(MakeTestChunk(seed)->key()).value();
  }
  const int64_t chunk_bytes_ = MakeTestChunk(1)->total_bytes();
  TempFolder folder_;
  FakeClock clock_;
};

TEST_F(DiskQuotas, AGroupOverItsQuotaLosesItsOwnOldestInEveryProcess) {
  const auto store = Open(), other_process = Open();
  ASSERT_TRUE(Put(*store, 9, "other").ok());
  ASSERT_TRUE(Put(*store, 1, "small").ok());
  ASSERT_TRUE(Put(*other_process, 2, "small").ok());
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(store->Get(MakeTestChunk(1)->key()).ok());
  ASSERT_TRUE(Put(*store, 3, "small").ok());
  EXPECT_FALSE(Holds(*store, 2)) << "used longest ago";
  for (int seed : {9, 1, 3}) EXPECT_TRUE(Holds(*store, seed)) << seed;
  EXPECT_EQ(store->group_bytes("small"), 2 * chunk_bytes_);
  EXPECT_EQ(store->stats().bytes, 3 * chunk_bytes_);
}

TEST_F(DiskQuotas, DeletedChunksNoLongerCount) {
  const auto store = Open();
  for (int seed : {1, 2}) ASSERT_TRUE(Put(*store, seed, "small").ok());
  ASSERT_TRUE(store->Delete(MakeTestChunk(1)->key()).ok());
  EXPECT_EQ(store->group_bytes("small"), chunk_bytes_);
  ASSERT_TRUE(Put(*store, 3, "small").ok());
  EXPECT_TRUE(Holds(*store, 2)) << "there was room for both";
}

TEST_F(DiskQuotas, WhatDoesNotFitIntoTheQuotaIsRefused) {
  const auto store = Open();
  EXPECT_TRUE(absl::IsResourceExhausted(
      store->PutInGroup(MakeTestChunk(TestChunkOptions{.seed = 5, .num_tokens = 40}), "small")));
  for (int seed : {1, 2}) {
    ASSERT_TRUE(Put(*store, seed, "small").ok());
    ASSERT_TRUE(store->Pin(MakeTestChunk(seed)->key(), "job", clock_.Now() + absl::Hours(1)).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*store, 3, "small")));
  EXPECT_TRUE(Put(*store, 4, "").ok());
}

TEST_F(DiskQuotas, EvictionAheadOfNeedStopsAtTheLowMark) {
  const auto store = Open();
  for (int seed = 1; seed <= 9; ++seed) ASSERT_TRUE(Put(*store, seed, "").ok());
  EXPECT_FALSE(store->HasRoomFor(chunk_bytes_));
  store->EvictToLowWater();
  EXPECT_EQ(store->stats().objects, 5);
  EXPECT_FALSE(Holds(*store, 4));
  EXPECT_TRUE(Holds(*store, 5));
  EXPECT_EQ(ContentOf(folder_.path()).objects, 5);
}

}  // namespace
}  // namespace cacheclip
