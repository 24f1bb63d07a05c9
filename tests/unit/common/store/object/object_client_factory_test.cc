#include "common/store/object/object_client_factory.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <string>

#include "common/base/status.h"
#include "tests/support/object_harness.h"

namespace cacheclip {
namespace {

class ObjectClientFactoryTest : public testing::Test {
 protected:
  ObjectClientFactoryTest() {
    std::ofstream(credentials_file_) << "[default]\naws_access_key_id=" << S3Server::kAccessKey
                                     << "\naws_secret_access_key=" << S3Server::kSecretKey << "\n";
  }
  std::string FieldFor(const ObjectClientSettings& settings) {
    return FieldOf(MakeObjectClient(settings).status());
  }

  TempFolder folder_;
  const std::string credentials_file_ = folder_.path() + "/credentials";
};

TEST_F(ObjectClientFactoryTest, OpensAFolder) {
  const auto client = MakeObjectClient({.object_url = "file://" + folder_.path() + "/shared"}).value();
  EXPECT_EQ(client->url(), "file://" + folder_.path() + "/shared");
  ASSERT_TRUE(client->Put("a/b", BytesOf("x"), PutMode::kIfAbsent, NoDeadline()).ok());
  EXPECT_TRUE(std::filesystem::exists(folder_.path() + "/shared/a/b"));
}

TEST_F(ObjectClientFactoryTest, OpensABucket) {
  CACHECLIP_REQUIRE_S3_SERVER();
  S3Server& server = S3Server::Plain();
  const std::string bucket = server.MakeBucket();
  const auto client = MakeObjectClient({.object_url = "s3://" + bucket + "/p",
                                        .s3_endpoint = server.endpoint(),
                                        .s3_path_style = true,
                                        .s3_credentials_file = credentials_file_})
                          .value();
  EXPECT_EQ(client->url(), "s3://" + bucket + "/p");
  ASSERT_TRUE(client->Put("a", BytesOf("x"), PutMode::kIfAbsent, NoDeadline()).ok());
  EXPECT_TRUE(std::filesystem::exists(server.ObjectFile(bucket, "p/a")));
}

TEST_F(ObjectClientFactoryTest, TakesEndpointAndRegionFromTheEnvironment) {
  CACHECLIP_REQUIRE_S3_SERVER();
  S3Server& server = S3Server::Plain();
  ASSERT_EQ(::setenv("AWS_ENDPOINT_URL_S3", server.endpoint().c_str(), 1), 0);
  ASSERT_EQ(::setenv("AWS_REGION", "us-east-1", 1), 0);
  const auto client = MakeObjectClient({.object_url = "s3://" + server.MakeBucket(),
                                        .s3_path_style = true,
                                        .s3_credentials_file = credentials_file_});
  ::unsetenv("AWS_ENDPOINT_URL_S3");
  ::unsetenv("AWS_REGION");
  ASSERT_TRUE(client.ok());
  EXPECT_TRUE((*client)->List("", "", 1, NoDeadline()).ok());
}

TEST_F(ObjectClientFactoryTest, WrongSettingsNameThemselves) {
  EXPECT_EQ(FieldFor({.object_url = "ftp://x"}), "object_url");
  EXPECT_EQ(
      FieldFor(
          {.object_url = "s3://bucket", .s3_endpoint = "nowhere", .s3_credentials_file = credentials_file_}),
      "s3_endpoint");
  EXPECT_EQ(
      FieldFor(
          {.object_url = "s3://bucket", .s3_region = "US EAST", .s3_credentials_file = credentials_file_}),
      "s3_region");
  EXPECT_EQ(
      FieldFor(
          {.object_url = "s3://bucket", .s3_tls_ca = "/nowhere", .s3_credentials_file = credentials_file_}),
      "s3_tls_ca");
  EXPECT_EQ(FieldFor({.object_url = "s3://with.dots", .s3_credentials_file = credentials_file_}),
            "s3_path_style");
}

}  // namespace
}  // namespace cacheclip
