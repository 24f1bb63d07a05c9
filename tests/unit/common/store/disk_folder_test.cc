#include "common/store/disk_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include "tests/support/disk_harness.h"

namespace cacheclip {
namespace {

class DiskFolderTest : public testing::Test {
 protected:
  std::unique_ptr<DiskFolder> Open(int64_t max_bytes = 1000,
                                   absl::Duration lock_timeout = absl::Seconds(60)) {
    return DiskFolder::Open({temp_.path(), max_bytes, /*max_objects=*/10, lock_timeout, &clock_}).value();
  }
  TempFolder temp_;
  FakeClock clock_;
  const ChunkKey key_ = MakeTestChunk(1)->key();
};

TEST_F(DiskFolderTest, ReservedBytesCountBeforeTheyAreWritten) {
  const auto folder = Open();
  const auto first = folder->Reserve(key_, 600);
  ASSERT_TRUE(first.ok() && first->has_value());
  EXPECT_EQ(folder->usage().bytes, 600);
  EXPECT_TRUE(absl::IsResourceExhausted(folder->Reserve(MakeTestChunk(2)->key(), 600).status()));
  folder->Abandon(**first);
  EXPECT_EQ(folder->usage().bytes, 0);
  EXPECT_EQ(folder->usage().objects, 0);
  EXPECT_EQ(ContentOf(temp_.path()).temp_files, 0);
}

TEST_F(DiskFolderTest, SecondWriterOfAChunkGivesWay) {
  const auto folder = Open();
  const auto first = folder->Reserve(key_, 100);
  const auto second = folder->Reserve(key_, 100);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(folder->usage().bytes, 200);
  EXPECT_TRUE(folder->Publish(**first, key_).value());
  EXPECT_FALSE(folder->Publish(**second, key_).value());
  EXPECT_EQ(folder->usage().bytes, 100);
  EXPECT_EQ(ContentOf(temp_.path()).temp_files, 0);
  EXPECT_FALSE(folder->Reserve(key_, 100).value().has_value())
      << "nothing to write for a chunk that is there";
}

TEST_F(DiskFolderTest, RemovesOnlyTheFileThatWasMeant) {
  const auto folder = Open();
  const auto temp = folder->Reserve(key_, 100);
  ASSERT_TRUE(folder->Publish(**temp, key_).value());
  ASSERT_TRUE(folder->Remove(key_, /*only_inode=*/1).ok());
  EXPECT_EQ(ContentOf(temp_.path()).objects, 1) << "another inode: replaced since it was read";
  ASSERT_TRUE(folder->Remove(key_).ok());
  EXPECT_EQ(ContentOf(temp_.path()).objects, 0);
}

TEST_F(DiskFolderTest, GivesUpOnALockThatSomebodyHolds) {
  const auto folder = Open(1000, absl::ZeroDuration());
  const FileDescriptor holder = OpenFile(temp_.path() + "/lock", O_RDWR).value();
  ASSERT_EQ(::flock(holder.get(), LOCK_EX), 0);
  EXPECT_TRUE(absl::IsUnavailable(folder->Reserve(key_, 100).status()));
  EXPECT_TRUE(absl::IsUnavailable(folder->Remove(key_)));
  ASSERT_EQ(::flock(holder.get(), LOCK_UN), 0);
  EXPECT_TRUE(folder->Reserve(key_, 100).ok());
}

}  // namespace
}  // namespace cacheclip
