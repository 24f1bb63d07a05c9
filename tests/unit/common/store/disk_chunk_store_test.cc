#include "common/store/disk_chunk_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/disk_harness.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<StoreHarness> MakeDiskHarness(const StoreLimits& limits) {
  return std::make_unique<DiskHarness>(limits);
}

INSTANTIATE_TEST_SUITE_P(Disk, ChunkStoreContract, testing::Values(StoreHarnessFactory(MakeDiskHarness)));

class DiskChunkStoreTest : public testing::Test {
 protected:
  std::unique_ptr<DiskChunkStore> Open(int64_t max_bytes = 1 << 30) {
    return DiskChunkStore::Open({.folder = folder_.path(), .max_bytes = max_bytes, .clock = &clock_}).value();
  }
  const std::string& folder() const { return folder_.path(); }

  TempFolder folder_;
  FakeClock clock_;
  const int64_t chunk_bytes_ = MakeTestChunk(1)->total_bytes();
};

TEST_F(DiskChunkStoreTest, FindsItsChunksAgainAfterARestart) {
  ASSERT_TRUE(Open()->Put(MakeTestChunk(1)).ok());
  const auto store = Open();
  EXPECT_EQ(store->stats().objects, 1);
  EXPECT_EQ(store->stats().bytes, chunk_bytes_);
  const auto hit = store->Get(MakeTestChunk(1)->key());
  ASSERT_TRUE(hit.ok()) << hit.status();
  EXPECT_EQ(hit->tier, Tier::kDisk);
}

TEST_F(DiskChunkStoreTest, PinsHoldAfterARestart) {
  {
    const auto store = Open();
    ASSERT_TRUE(store->Put(MakeTestChunk(1)).ok());
    ASSERT_TRUE(store->Pin(MakeTestChunk(1)->key(), "any/owner\n", clock_.Now() + absl::Hours(1)).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(Open(chunk_bytes_)->Put(MakeTestChunk(2))));
}

TEST_F(DiskChunkStoreTest, SmallerBudgetAtOpenEvictsDownToIt) {
  {
    const auto store = Open();
    for (int seed = 1; seed <= 5; ++seed) {
      clock_.Advance(absl::Seconds(1));
      ASSERT_TRUE(store->Put(MakeTestChunk(seed)).ok());
    }
  }
  const auto store = Open(2 * chunk_bytes_);
  EXPECT_EQ(store->stats().objects, 2);
  EXPECT_EQ(ContentOf(folder()).object_bytes, 2 * chunk_bytes_);
  EXPECT_TRUE(store->Contains(MakeTestChunk(5)->key()).value());
}

TEST_F(DiskChunkStoreTest, RefusesAFolderOfAnotherVersion) {
  Open();
  std::ofstream(folder() + "/VERSION") << "cacheclip disk store 99\n";
  EXPECT_TRUE(absl::IsFailedPrecondition(DiskChunkStore::Open({.folder = folder()}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(DiskChunkStore::Open({.folder = ""}).status()));
}

TEST_F(DiskChunkStoreTest, FlippedBitInAnyLayerIsFound) {
  const TestChunkOptions options{.seed = 3, .num_tokens = 9, .shape = {4, 2, 8, KvDtype::kFp32}};
  const auto chunk = MakeTestChunk(options);
  const auto store = Open();
  for (int32_t layer = 0; layer < options.shape.num_layers; ++layer)
    for (const auto half : {chunk->Keys(layer), chunk->Values(layer)}) {
      ASSERT_TRUE(store->Put(chunk).ok());
      FlipBit(ObjectFile(folder(), chunk->key()), half.data() - chunk->image().data() + 5);
      EXPECT_TRUE(absl::IsDataLoss(store->Get(chunk->key()).status())) << "layer " << layer;
      EXPECT_FALSE(fs::exists(ObjectFile(folder(), chunk->key())));
    }
  EXPECT_EQ(store->stats().corrupt, 8);
}

TEST_F(DiskChunkStoreTest, TruncatedAndLengthenedFilesAreFound) {
  const auto chunk = MakeTestChunk(1);
  const auto store = Open();
  for (int64_t length : {int64_t{0}, int64_t{1}, int64_t{191}, int64_t{192}, chunk_bytes_ / 2,
                         chunk_bytes_ - 1, chunk_bytes_ + 1}) {
    ASSERT_TRUE(store->Put(chunk).ok());
    fs::resize_file(ObjectFile(folder(), chunk->key()), length);
    EXPECT_TRUE(absl::IsDataLoss(store->Get(chunk->key()).status())) << length << " bytes";
  }
  EXPECT_EQ(store->stats().objects, 0);
}

TEST_F(DiskChunkStoreTest, ChunkUnderTheWrongNameIsNotServed) {
  const auto store = Open();
  ASSERT_TRUE(store->Put(MakeTestChunk(1)).ok());
  const ChunkKey other = MakeTestChunk(2)->key();
  fs::create_directories(fs::path(ObjectFile(folder(), other)).parent_path());
  fs::rename(ObjectFile(folder(), MakeTestChunk(1)->key()), ObjectFile(folder(), other));
  EXPECT_TRUE(absl::IsDataLoss(store->Get(other).status()));
  EXPECT_FALSE(store->Contains(other).value());
}

// The writer is killed at every step of Put(): reserved, after every 16 bytes, synced, renamed.
TEST_F(DiskChunkStoreTest, KilledWriterLeavesNoHalfChunkVisible) {
  const auto chunk = MakeTestChunk(1);
  int num_kills = 0, num_found_whole = 0;
  for (int fatal_step = 1;; ++fatal_step) {
    const int status = RunInProcess([&] {
      int step = 0;
      auto store =
          DiskChunkStore::Open({.folder = folder(), .write_step_bytes = 16, .on_put_step = [&](auto) {
                                  if (++step == fatal_step) ::raise(SIGKILL);
                                }});
      return store.ok() && (*store)->Put(chunk).ok() ? 0 : 1;
    });
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      break;
    }
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
    ++num_kills;
    const auto store = Open();
    EXPECT_EQ(ContentOf(folder()).temp_files, 0) << "killed at step " << fatal_step;
    EXPECT_EQ(store->stats().bytes, ContentOf(folder()).object_bytes) << "killed at step " << fatal_step;
    if (store->Contains(chunk->key()).value()) {
      ++num_found_whole;
      EXPECT_TRUE(store->Get(chunk->key()).ok()) << "killed at step " << fatal_step;
      ASSERT_TRUE(store->Delete(chunk->key()).ok());
    }
  }
  EXPECT_EQ(num_kills, 3 + (chunk_bytes_ + 15) / 16);
  EXPECT_EQ(num_found_whole, 1) << "only a writer killed after the rename has stored its chunk";
}

TEST_F(DiskChunkStoreTest, OpeningTheFolderSparesTheFileOfALiveWriter) {
  int num_opened = 0;
  const auto writer = DiskChunkStore::Open({.folder = folder(),
                                            .on_put_step =
                                                [&](std::string_view step) {
                                                  if (step != "wrote") return;
                                                  const auto other = Open();
                                                  ++num_opened;
                                                  EXPECT_EQ(other->stats().bytes, chunk_bytes_)
                                                      << "reserved bytes count";
                                                  EXPECT_EQ(other->stats().objects, 1);
                                                }})
                          .value();
  ASSERT_TRUE(writer->Put(MakeTestChunk(1)).ok());
  EXPECT_EQ(num_opened, 1);
  EXPECT_TRUE(writer->Get(MakeTestChunk(1)->key()).ok());
}

TEST_F(DiskChunkStoreTest, ProcessesShareChunksAndDeletes) {
  const auto store = Open();
  ASSERT_TRUE(store->Put(MakeTestChunk(1)).ok());
  ASSERT_TRUE(store->Put(MakeTestChunk(2)).ok());
  const int status = RunInProcess([&] {
    const auto other = Open();
    const bool done = other->Get(MakeTestChunk(1)->key()).ok() &&
                      other->Delete(MakeTestChunk(2)->key()).ok() && other->Put(MakeTestChunk(3)).ok();
    return done ? 0 : 1;
  });
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(store->Get(MakeTestChunk(3)->key()).ok());
  EXPECT_TRUE(absl::IsNotFound(store->Get(MakeTestChunk(2)->key()).status()));
  EXPECT_EQ(store->stats().bytes, 2 * chunk_bytes_);
}

TEST_F(DiskChunkStoreTest, BudgetIsCountedOnceAcrossProcesses) {
  const auto store = Open(4 * chunk_bytes_);
  constexpr int kProcesses = 3;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto other = Open(4 * chunk_bytes_);
      int failed = 0;
      for (int i = 0; i < 20; ++i) failed += other->Put(MakeTestChunk(1 + process * 100 + i)).ok() ? 0 : 1;
      ::_exit(failed);
    }
    children.push_back(child);
  }
  int num_running = kProcesses, most_objects = 0;
  int64_t most_bytes = 0;
  while (num_running > 0) {
    most_bytes = std::max(most_bytes, store->stats().bytes);
    most_objects = std::max<int>(most_objects, store->stats().objects);
    int status = 0;
    if (::waitpid(-1, &status, WNOHANG) > 0) {
      EXPECT_EQ(status, 0);
      --num_running;
    }
  }
  EXPECT_LE(most_bytes, 4 * chunk_bytes_);
  EXPECT_LE(most_objects, 4);
  EXPECT_EQ(ContentOf(folder()).object_bytes, store->stats().bytes);
  EXPECT_EQ(store->stats().objects, 4);
  ASSERT_TRUE(store->ForEach([&](const ChunkKey& key, int64_t) { EXPECT_TRUE(store->Get(key).ok()); }).ok());
}

// The kernel refuses to write beyond the limit in the middle of the chunk, as a full disk does.
TEST_F(DiskChunkStoreTest, FullDiskIsAClearErrorAndLeavesNothing) {
  Open();
  const int status = RunInProcess([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{static_cast<rlim_t>(chunk_bytes_ / 2), static_cast<rlim_t>(chunk_bytes_ / 2)};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    const auto store = Open();
    const absl::Status put = store->Put(MakeTestChunk(1));
    if (!absl::IsResourceExhausted(put)) return 2;
    if (put.message().find(folder()) == absl::string_view::npos) return 3;
    if (store->Contains(MakeTestChunk(1)->key()).value()) return 4;
    if (store->stats().bytes != 0 || store->stats().rejected_puts != 1) return 5;
    return 0;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(ContentOf(folder()).objects, 0);
  EXPECT_EQ(ContentOf(folder()).temp_files, 0);
  EXPECT_TRUE(Open()->Put(MakeTestChunk(1)).ok()) << "works again when there is room";
}

TEST_F(DiskChunkStoreTest, RefusesAWriteStepOfZero) {
  EXPECT_TRUE(
      absl::IsInvalidArgument(DiskChunkStore::Open({.folder = folder(), .write_step_bytes = 0}).status()));
}

}  // namespace
}  // namespace cacheclip
