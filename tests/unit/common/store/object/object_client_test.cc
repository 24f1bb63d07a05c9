// What every ObjectClient does alike, on a folder and on a real S3 server (plain and TLS).
#include "common/store/object/object_client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "tests/support/object_harness.h"

namespace cacheclip {
namespace {

TEST(ObjectName, IsBoundedAndCannotLeaveItsPlace) {
  for (const char* name : {"a", "chunks/ab/cd.ccv", "a-b_c.d/E9", "..a", "a/...b"})
    EXPECT_TRUE(ValidateObjectName(name).ok()) << name;
  for (const std::string& name :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("."),
        std::string("a/../b"), std::string("a b"), std::string("a\n"), std::string("a\0b", 3),
        std::string("\xc3\xa9"), std::string(513, 'a')})
    EXPECT_TRUE(absl::IsInvalidArgument(ValidateObjectName(name))) << name;
}

enum class Place { kFolder, kS3, kS3Tls };

class ObjectClientTest : public testing::TestWithParam<Place> {
 protected:
  void SetUp() override {
    if (GetParam() == Place::kFolder) {
      client_ = FolderObjectClient::Open({.folder = folder_.path()}).value();
      return;
    }
    CACHECLIP_REQUIRE_S3_SERVER();
    S3Server& server = GetParam() == Place::kS3 ? S3Server::Plain() : S3Server::Tls();
    S3ObjectClientOptions options = TestS3Options(server.endpoint(), server.MakeBucket());
    options.http.tls_ca = server.certificate();
    options.multipart_bytes = kMinS3PartBytes;
    options.part_bytes = kMinS3PartBytes;
    client_ = S3ObjectClient::Create(std::move(options)).value();
  }
  absl::Status Put(const std::string& name, const std::string& text, PutMode mode = PutMode::kReplace) {
    return client_->Put(name, BytesOf(text), mode, NoDeadline());
  }
  std::string Read(const std::string& name, int64_t offset, size_t count) {
    std::vector<std::byte> out(count);
    const auto read = client_->Read(name, offset, out, NoDeadline());
    if (!read.ok()) return std::string(read.status().message());
    object_bytes_ = read->object_bytes;
    return {reinterpret_cast<const char*>(out.data()), static_cast<size_t>(read->num_bytes)};
  }
  std::vector<std::string> Names(const std::string& prefix, int per_page) {
    std::vector<std::string> names;
    std::string next;
    do {
      const ObjectPage page = client_->List(prefix, next, per_page, NoDeadline()).value();
      EXPECT_LE(static_cast<int>(page.objects.size()), per_page);
      for (const ObjectInfo& info : page.objects) names.push_back(info.name);
      next = page.next_page;
    } while (!next.empty());
    return names;
  }

  TempFolder folder_;
  std::unique_ptr<ObjectClient> client_;
  int64_t object_bytes_ = 0;
};

TEST_P(ObjectClientTest, ReadsBackWhatWasPut) {
  ASSERT_TRUE(Put("a/b.bin", "0123456789").ok());
  EXPECT_EQ(Read("a/b.bin", 0, 10), "0123456789");
  EXPECT_EQ(Read("a/b.bin", 3, 4), "3456");
  EXPECT_EQ(object_bytes_, 10);
  EXPECT_EQ(Read("a/b.bin", 7, 100), "789") << "up to the end";
  EXPECT_EQ(Read("a/b.bin", 10, 5), "") << "behind the end";
  const ObjectInfo info = client_->Head("a/b.bin", NoDeadline()).value();
  EXPECT_EQ(info.num_bytes, 10);
  EXPECT_LT(absl::AbsDuration(info.modified - absl::Now()), absl::Hours(1));
}

TEST_P(ObjectClientTest, EmptyObjectsAreObjects) {
  ASSERT_TRUE(Put("empty", "").ok());
  EXPECT_EQ(client_->Head("empty", NoDeadline())->num_bytes, 0);
  EXPECT_EQ(Read("empty", 0, 5), "");
  EXPECT_EQ(object_bytes_, 0);
}

TEST_P(ObjectClientTest, WhatIsNotThereIsNotFound) {
  std::vector<std::byte> out(5);
  EXPECT_TRUE(absl::IsNotFound(client_->Head("a/absent", NoDeadline()).status()));
  EXPECT_TRUE(absl::IsNotFound(client_->Read("a/absent", 0, out, NoDeadline()).status()));
  EXPECT_TRUE(client_->Delete("a/absent", NoDeadline()).ok());
}

TEST_P(ObjectClientTest, ReplacesOrRefusesAsTold) {
  ASSERT_TRUE(Put("x", "first", PutMode::kIfAbsent).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Put("x", "second", PutMode::kIfAbsent)));
  EXPECT_EQ(Read("x", 0, 10), "first");
  ASSERT_TRUE(Put("x", "third").ok());
  EXPECT_EQ(Read("x", 0, 10), "third");
  ASSERT_TRUE(client_->Delete("x", NoDeadline()).ok());
  EXPECT_TRUE(absl::IsNotFound(client_->Head("x", NoDeadline()).status()));
  EXPECT_TRUE(Put("x", "fourth", PutMode::kIfAbsent).ok());
}

TEST_P(ObjectClientTest, OneOfManyWritersWins) {
  std::atomic<int> num_won{0}, num_lost{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      const absl::Status put =
          Put("contested", std::string(10'000, static_cast<char>('a' + i)), PutMode::kIfAbsent);
      if (put.ok()) ++num_won;
      if (absl::IsAlreadyExists(put)) ++num_lost;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_won, 1);
  EXPECT_EQ(num_lost, 3);
  const std::string text = Read("contested", 0, 20'000);
  EXPECT_EQ(text, std::string(10'000, text[0])) << "of one writer only";
}

TEST_P(ObjectClientTest, LargeObjectsArriveWhole) {
  std::string text(2 * kMinS3PartBytes + 12'345, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
  ASSERT_TRUE(Put("large", text, PutMode::kIfAbsent).ok());
  EXPECT_TRUE(Read("large", 0, text.size()) == text);
  EXPECT_TRUE(Read("large", kMinS3PartBytes - 5, 10) == text.substr(kMinS3PartBytes - 5, 10));
  EXPECT_TRUE(absl::IsAlreadyExists(Put("large", text, PutMode::kIfAbsent)));
}

TEST_P(ObjectClientTest, ListsInPagesBelowAPrefix) {
  std::set<std::string> expected;
  for (const char* name :
       {"chunks/aa/1", "chunks/aa/2", "chunks/ab/1", "chunks/ab/1-x", "chunks/b", "chunks/b-c/d"}) {
    ASSERT_TRUE(Put(name, name).ok());
    expected.insert(name);
  }
  ASSERT_TRUE(Put("pins/aa/1", "x").ok());
  ASSERT_TRUE(Put("chunksx", "x").ok());
  for (const int per_page : {1, 2, 1000}) {
    const std::vector<std::string> names = Names("chunks/", per_page);
    EXPECT_TRUE(std::ranges::is_sorted(names));
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), expected) << per_page;
    EXPECT_EQ(names.size(), expected.size());
  }
  EXPECT_EQ(Names("chunks/ab/", 10), (std::vector<std::string>{"chunks/ab/1", "chunks/ab/1-x"}));
  EXPECT_EQ(Names("absent/", 10), std::vector<std::string>{});
  EXPECT_EQ(Names("", 3).size(), 8u);
  EXPECT_EQ(client_->List("chunks/aa/", "", 10, NoDeadline())->objects.at(0).num_bytes, 11);
}

TEST_P(ObjectClientTest, BadArgumentsAreRefused) {
  std::vector<std::byte> out(5);
  EXPECT_TRUE(absl::IsInvalidArgument(Put("../x", "x")));
  EXPECT_TRUE(absl::IsInvalidArgument(client_->Read("/x", 0, out, NoDeadline()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(client_->Head("", NoDeadline()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(client_->Delete("a//b", NoDeadline())));
  EXPECT_TRUE(absl::IsInvalidArgument(client_->List("", "", 0, NoDeadline()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(client_->List("", "", 1001, NoDeadline()).status()));
}

TEST_P(ObjectClientTest, CallsEndWithTheirTokens) {
  ASSERT_TRUE(Put("x", "x").ok());
  std::vector<std::byte> out(5);
  const CancellationToken late(absl::Now() - absl::Seconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(client_->Read("x", 0, out, late).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(client_->Put("y", out, PutMode::kReplace, late)));
  CancellationToken cancelled;
  cancelled.Cancel();
  EXPECT_TRUE(absl::IsCancelled(client_->Head("x", cancelled).status()));
  EXPECT_TRUE(absl::IsCancelled(client_->Delete("x", cancelled)));
  EXPECT_TRUE(absl::IsCancelled(client_->List("", "", 1, cancelled).status()));
  EXPECT_TRUE(client_->Head("x", NoDeadline()).ok());
  EXPECT_TRUE(absl::IsNotFound(client_->Head("y", NoDeadline()).status()));
}

INSTANTIATE_TEST_SUITE_P(Places, ObjectClientTest, testing::Values(Place::kFolder, Place::kS3, Place::kS3Tls),
                         [](const auto& info) {
                           return std::string(info.param == Place::kFolder ? "Folder"
                                              : info.param == Place::kS3   ? "S3"
                                                                           : "S3Tls");
                         });

}  // namespace
}  // namespace cacheclip
