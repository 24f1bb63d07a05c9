#include "common/store/posix_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

TEST(FileError, SaysWhatFailedWhereAndWhy) {
  EXPECT_TRUE(absl::IsResourceExhausted(FileError(ENOSPC, "write", "/a/b")));
  EXPECT_TRUE(absl::IsResourceExhausted(FileError(EDQUOT, "write", "/a/b")));
  EXPECT_TRUE(absl::IsNotFound(FileError(ENOENT, "open", "/a/b")));
  EXPECT_TRUE(absl::IsPermissionDenied(FileError(EACCES, "open", "/a/b")));
  EXPECT_TRUE(absl::IsUnavailable(FileError(EIO, "read", "/a/b")));
  EXPECT_EQ(FileError(ENOSPC, "write", "/a/b").message(), "write /a/b: No space left on device");
}

TEST(WriteAll, WritesEverythingInSteps) {
  const TempFolder temp;
  const std::string path = temp.path() + "/file";
  const FileDescriptor file = OpenFile(path, O_WRONLY | O_CREAT).value();
  const std::vector<std::byte> bytes(25, std::byte{7});
  int num_steps = 0;
  ASSERT_TRUE(WriteAll(file, bytes, 10, path, [&] { ++num_steps; }).ok());
  EXPECT_EQ(num_steps, 3);
  EXPECT_EQ(std::filesystem::file_size(path), 25);
}

TEST(WriteAll, ReportsAFullDevice) {
  const auto full = OpenFile("/dev/full", O_WRONLY);
  ASSERT_TRUE(full.ok());
  const std::vector<std::byte> bytes(25);
  EXPECT_TRUE(absl::IsResourceExhausted(WriteAll(*full, bytes, 10, "/dev/full", {})));
}

TEST(MapFile, StaysReadableAfterTheFileIsGone) {
  const TempFolder temp;
  const std::string path = temp.path() + "/file";
  std::ofstream(path) << "content";
  const auto mapped = MapFile(path, absl::FromUnixSeconds(1234));
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 1234) << "stamped with the time of its use";
  std::filesystem::remove(path);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(mapped->bytes.data()), mapped->bytes.size()),
            "content");
}

TEST(LoadPages, TakesAnyPartOfAMapping) {
  TempFolder temp;
  const std::string path = temp.path() + "/file";
  std::ofstream(path) << std::string(100'000, 'x');
  const auto mapped = MapFile(path, absl::UnixEpoch()).value();
  for (const auto& [offset, size] :
       {std::pair<int64_t, int64_t>{0, 100'000}, {4095, 2}, {50'000, 1}, {99'999, 1}, {0, 0}})
    EXPECT_TRUE(LoadPages(mapped, offset, size).ok()) << offset;
}

TEST(LoadPages, BringsWhatThePageCacheLost) {
  TempFolder temp;
  const std::string path = temp.path() + "/file";
  std::string content(3'000'000, 'x');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i % 251);
  std::ofstream(path) << content;
  const FileDescriptor file = OpenFile(path, O_RDONLY).value();
  ASSERT_TRUE(SyncFile(file, path).ok());
  ASSERT_EQ(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  const auto mapped = MapFile(path, std::nullopt).value();
  ASSERT_TRUE(LoadPages(mapped, 5, 2'999'995).ok());
  EXPECT_EQ(std::memcmp(mapped.bytes.data(), content.data(), content.size()), 0);
}

TEST(LoadPages, PagesThatTheFileNoLongerHasAreAnErrorAndNoSignal) {
  TempFolder temp;
  const std::string path = temp.path() + "/file";
  std::ofstream(path) << std::string(100'000, 'x');
  const auto mapped = MapFile(path, absl::UnixEpoch()).value();
  std::filesystem::resize_file(path, 4096);
  EXPECT_TRUE(LoadPages(mapped, 0, 4096).ok());
  const absl::Status status = LoadPages(mapped, 50'000, 50'000);
  if (status.ok()) GTEST_SKIP() << "this kernel has no MADV_POPULATE_READ";
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST(MapFile, TakesEmptyFilesAndMissesAbsentOnes) {
  const TempFolder temp;
  std::ofstream(temp.path() + "/empty").flush();
  EXPECT_TRUE(MapFile(temp.path() + "/empty", absl::UnixEpoch())->bytes.empty());
  EXPECT_TRUE(absl::IsNotFound(MapFile(temp.path() + "/absent", absl::UnixEpoch()).status()));
}

TEST(FileDescriptor, ClosesOnceAndMoves) {
  const TempFolder temp;
  FileDescriptor first = OpenFile(temp.path() + "/file", O_WRONLY | O_CREAT).value();
  const int fd = first.get();
  FileDescriptor second = std::move(first);
  EXPECT_EQ(first.get(), -1);
  EXPECT_EQ(second.get(), fd);
  second = FileDescriptor();
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1) << "closed";
}

}  // namespace
}  // namespace cacheclip
