// Files in a bucket, on a real S3 server; local files are tested by document_set_test.cc.
#include "services/cacheclip/documents/document_files.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "services/cacheclip/documents/document_set.h"
#include "tests/support/s3_server.h"

namespace cacheclip {
namespace {

class DocumentFilesInABucket : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_REQUIRE_S3_SERVER();
    bucket_ = S3Server::Plain().MakeBucket();
    credentials_ = folder_.path() + "/credentials";
    std::ofstream(credentials_) << "[default]\naws_access_key_id = " << S3Server::kAccessKey
                                << "\naws_secret_access_key = " << S3Server::kSecretKey << "\n";
    settings_ = {.s3_endpoint = S3Server::Plain().endpoint(),
                 .s3_region = S3Server::kRegion,
                 .s3_path_style = true,
                 .s3_credentials_file = credentials_};
  }
  void Write(const std::string& key, const std::string& text) {
    const std::string path = S3Server::Plain().ObjectFile(bucket_, key);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  }
  absl::StatusOr<DocumentSet> Open(const std::string& prefix) {
    return DocumentSet::Open({"s3://" + bucket_ + prefix}, settings_);
  }

  TempFolder folder_;
  std::string bucket_, credentials_;
  ObjectClientSettings settings_;
};

TEST_F(DocumentFilesInABucket, APrefixIsListedAndRead) {
  Write("archive/b.txt", "plain");
  Write("archive/a/c.md", "# Heading\n\ntext");
  Write("archive/image.png", "image");
  Write("archive/lines.jsonl", "{\"id\": \"line\", \"path\": \"b.txt\"}\n");
  Write("elsewhere/d.txt", "other");
  const auto set = Open("/archive");
  ASSERT_TRUE(set.ok()) << set.status();
  std::vector<std::string> ids, texts;
  for (int64_t i = 0; i < set->size(); ++i) {
    const auto document = set->Read(i);
    ASSERT_TRUE(document.ok()) << document.status();
    ids.push_back(document->document_id);
    texts.push_back(document->text);
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"a/c.md", "b.txt", "line"}));
  EXPECT_EQ(texts, (std::vector<std::string>{"# Heading\n\ntext", "plain", "plain"}));
  EXPECT_EQ(set->Read(0)->title, "Heading");
}

TEST_F(DocumentFilesInABucket, APrefixWithoutDocumentsIsNamed) {
  Write("archive/image.png", "image");
  const auto set = Open("/archive");
  EXPECT_EQ(set.status().code(), absl::StatusCode::kNotFound) << set.status();
  EXPECT_EQ(FieldOf(set.status()), "s3://" + bucket_ + "/archive");
}

TEST_F(DocumentFilesInABucket, AnObjectPutAgainMakesAnotherSet) {
  Write("archive/a.txt", "one");
  const Digest before = Open("/archive")->Identity().value();
  EXPECT_EQ(Open("/archive")->Identity().value(), before);
  const std::string path = S3Server::Plain().ObjectFile(bucket_, "archive/a.txt");
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + std::chrono::seconds(5));
  EXPECT_NE(Open("/archive")->Identity().value(), before) << "size and time stand for the content";
}

}  // namespace
}  // namespace cacheclip
