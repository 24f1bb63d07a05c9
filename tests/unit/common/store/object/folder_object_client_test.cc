// What only the folder client does: temporary files, killed writers, full disks. The rest is in
// object_client_test.cc.
#include "common/store/object/folder_object_client.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "common/base/status.h"
#include "common/kv/chunk_format.h"
#include "tests/support/object_harness.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

class FolderObjectClientTest : public testing::Test {
 protected:
  std::unique_ptr<FolderObjectClient> Open(FolderObjectClientOptions options = {}) {
    options.folder = folder_.path();
    return FolderObjectClient::Open(std::move(options)).value();
  }
  int64_t NumIncoming() const {
    const fs::directory_iterator files(folder_.path() + "/.incoming");
    return std::distance(begin(files), end(files));
  }
  // Puts the chunk in a process of its own that is killed at its `kill_at`-th step; true if it was.
  bool PutKilledAt(const EncodedChunk& chunk, int kill_at, PutMode mode) {
    const pid_t child = ::fork();
    if (child == 0) {
      int step = 0;
      FolderObjectClientOptions options;
      options.step_bytes = chunk.total_bytes() / 12 + 1;
      options.on_put_step = [&](std::string_view) {
        if (step++ == kill_at) ::kill(::getpid(), SIGKILL);
      };
      ::_exit(Open(options)->Put(ChunkObjectName(chunk.key()), chunk.image(), mode, NoDeadline()).ok() ? 0
                                                                                                       : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status);
  }
  TempFolder folder_;
};

// 50 random points: what is visible afterwards is the whole chunk or nothing.
TEST_F(FolderObjectClientTest, AWriterKilledAnywhereLeavesNoHalfObject) {
  std::mt19937 random(7);
  int num_killed = 0, num_visible = 0;
  for (int32_t seed = 1; seed <= 50; ++seed) {
    const auto chunk = MakeTestChunk(seed);
    const PutMode mode = seed % 2 == 0 ? PutMode::kIfAbsent : PutMode::kReplace;
    num_killed += PutKilledAt(*chunk, static_cast<int>(random() % 15), mode);
    std::vector<std::byte> image(chunk->total_bytes() + 1);
    const auto read = Open()->Read(ChunkObjectName(chunk->key()), 0, image, NoDeadline());
    if (absl::IsNotFound(read.status())) continue;
    ASSERT_TRUE(read.ok()) << read.status();
    image.resize(read->num_bytes);
    EXPECT_TRUE(ParseChunk(image, nullptr, PayloadCheck::kVerify).ok()) << seed;
    ++num_visible;
  }
  EXPECT_GT(num_killed, 30);
  EXPECT_GT(num_visible, 0);
  EXPECT_LT(num_visible, 50);
}

TEST_F(FolderObjectClientTest, WhatKilledWritersLeftGoesOnceItIsOld) {
  ASSERT_TRUE(PutKilledAt(*MakeTestChunk(1), 3, PutMode::kIfAbsent));
  EXPECT_EQ(NumIncoming(), 1);
  Open();
  EXPECT_EQ(NumIncoming(), 1) << "its writer may still be alive on another machine";
  for (const auto& file : fs::directory_iterator(folder_.path() + "/.incoming"))
    fs::last_write_time(file.path(), fs::file_time_type::clock::now() - std::chrono::hours(25));
  Open();
  EXPECT_EQ(NumIncoming(), 0);
}

TEST_F(FolderObjectClientTest, PutsLeaveNoTemporaryFile) {
  const auto client = Open();
  ASSERT_TRUE(client->Put("a/b", BytesOf("text"), PutMode::kIfAbsent, NoDeadline()).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(client->Put("a/b", BytesOf("text"), PutMode::kIfAbsent, NoDeadline())));
  ASSERT_TRUE(client->Put("a/b", BytesOf("more"), PutMode::kReplace, NoDeadline()).ok());
  EXPECT_EQ(NumIncoming(), 0);
}

TEST_F(FolderObjectClientTest, AFullDiskIsAClearErrorAndLeavesNothing) {
  const auto chunk = MakeTestChunk(1);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const auto half = static_cast<rlim_t>(chunk->total_bytes() / 2);
    const rlimit limit{half, half};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(1);
    const absl::Status put = Open()->Put("x", chunk->image(), PutMode::kIfAbsent, NoDeadline());
    ::_exit(absl::IsResourceExhausted(put) ? 0 : 2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(NumIncoming(), 0);
  EXPECT_FALSE(fs::exists(folder_.path() + "/x"));
}

TEST_F(FolderObjectClientTest, UseIsStampedWithTheGivenClock) {
  FakeClock clock;
  const auto client = Open({.clock = &clock});
  ASSERT_TRUE(client->Put("a", BytesOf("x"), PutMode::kReplace, NoDeadline()).ok());
  EXPECT_EQ(client->Head("a", NoDeadline())->modified, clock.Now());
  clock.Advance(absl::Hours(2));
  client->MarkUsed("a", NoDeadline());
  client->MarkUsed("absent", NoDeadline());
  EXPECT_EQ(client->Head("a", NoDeadline())->modified, clock.Now());
}

TEST_F(FolderObjectClientTest, FoldersThatCannotBeUsedNameTheSetting) {
  std::ofstream(folder_.path() + "/file") << "x";
  for (const std::string& folder : {std::string("relative"), std::string(), folder_.path() + "/file"})
    EXPECT_EQ(FieldOf(FolderObjectClient::Open({.folder = folder}).status()), "object_url") << folder;
  EXPECT_EQ(FieldOf(FolderObjectClient::Open({.folder = folder_.path(), .step_bytes = 0}).status()),
            "step_bytes");
}

}  // namespace
}  // namespace cacheclip
