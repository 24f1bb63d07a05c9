#include "common/base/file.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace cacheclip {
namespace {

class File : public testing::Test {
 protected:
  File() {
    std::string pattern = testing::TempDir() + "cacheclip_file_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~File() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::string folder_;
};

std::string TextOf(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

TEST_F(File, IsReadWhole) {
  const std::string text = std::string("a\0b\n", 4) + std::string(100000, 'x');
  EXPECT_EQ(*ReadFile(Write("some", text)), text);
  EXPECT_EQ(*ReadFile(Write("empty", "")), "");
}

TEST_F(File, LargerThanTheLimitIsRefusedWithItsSize) {
  const std::string path = Write("big", "12345");
  EXPECT_EQ(*ReadFile(path, 5), "12345");
  const auto refused = ReadFile(path, 4);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(refused.status().message().find("5 bytes, at most 4"), std::string::npos);
}

TEST_F(File, MissingIsNotFoundAndNamesThePath) {
  const std::string path = folder_ + "/none";
  EXPECT_EQ(ReadFile(path).status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(ReadFile(path).status().message().find(path), std::string::npos);
  EXPECT_EQ(MappedFile::Open(path).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(File, AFolderIsNoFile) {
  EXPECT_EQ(ReadFile(folder_).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(MappedFile::Open(folder_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(File, MappedBytesSurviveUnlink) {
  const std::string path = Write("mapped", "still here");
  const auto file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(::unlink(path.c_str()), 0);
  EXPECT_EQ(TextOf((*file)->bytes()), "still here");
}

TEST_F(File, AnEmptyFileMapsToNoBytes) {
  const auto file = MappedFile::Open(Write("empty", ""));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->bytes().empty());
}

}  // namespace
}  // namespace cacheclip
