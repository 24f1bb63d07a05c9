#include "common/store/object/s3_request.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/base/status.h"

namespace cacheclip {
namespace {

std::string BaseOf(const S3AddressOptions& options) { return MakeS3Address(options).value().base; }

TEST(S3Request, AddressesBucketsInBothStyles) {
  EXPECT_EQ(BaseOf({.bucket = "b-1", .region = "eu-west-3"}), "https://b-1.s3.eu-west-3.amazonaws.com");
  EXPECT_EQ(BaseOf({.bucket = "b-1", .region = "eu-west-3", .path_style = true}),
            "https://s3.eu-west-3.amazonaws.com/b-1");
  EXPECT_EQ(BaseOf({.bucket = "b-1", .region = "x", .endpoint = "http://minio:9000/", .path_style = true}),
            "http://minio:9000/b-1");
  EXPECT_EQ(BaseOf({.bucket = "b-1", .region = "x", .endpoint = "https://store.example"}),
            "https://b-1.store.example");
}

TEST(S3Request, RefusesBadSettingsByName) {
  const auto field = [](const S3AddressOptions& options) { return FieldOf(MakeS3Address(options).status()); };
  EXPECT_EQ(field({.bucket = "bkt", .region = "x", .endpoint = "minio:9000"}), "s3_endpoint");
  EXPECT_EQ(field({.bucket = "bkt", .region = "x", .endpoint = "http://"}), "s3_endpoint");
  EXPECT_EQ(field({.bucket = "bkt", .region = "x", .endpoint = "http://user:secret@host"}), "s3_endpoint");
  EXPECT_EQ(field({.bucket = "bkt", .region = "x", .endpoint = "http://host/path"}), "s3_endpoint");
  EXPECT_EQ(field({.bucket = "bkt", .region = ""}), "s3_region");
  EXPECT_EQ(field({.bucket = "bkt", .region = "a:b"}), "s3_region");
  EXPECT_EQ(field({.bucket = "with.dot", .region = "x"}), "s3_path_style");
}

TEST(S3Request, EncodesEverythingButUnreservedCharacters) {
  EXPECT_EQ(PercentEncode("aZ09-._~", false), "aZ09-._~");
  EXPECT_EQ(PercentEncode("a/b c+d=\xc3\xa9", false), "a%2Fb%20c%2Bd%3D%C3%A9");
  EXPECT_EQ(PercentEncode("a/b c", true), "a/b%20c");
  EXPECT_EQ(PercentDecode("a%2Fb+c%C3%A9").value(), "a/b c\xc3\xa9");
  for (const char* broken : {"%", "%2", "%zz", "abc%f"}) EXPECT_FALSE(PercentDecode(broken).ok()) << broken;
}

TEST(S3Request, SortsParametersAndGivesEachAnEqualsSign) {
  const S3Address address{"http://host/bucket"};
  EXPECT_EQ(S3Url(address, "a/b", {}), "http://host/bucket/a/b");
  EXPECT_EQ(S3Url(address, "k", {{"uploads", ""}}), "http://host/bucket/k?uploads=");
  EXPECT_EQ(S3Url(address, "", {{"prefix", "x/y"}, {"list-type", "2"}}),
            "http://host/bucket/?list-type=2&prefix=x%2Fy");
}

TEST(S3Request, CarriesTheDigestOfItsBody) {
  const std::string body = "hello";
  const HttpRequest request = MakeS3Request("PUT", "http://host/b/k", std::as_bytes(std::span(body)));
  const std::string digest =
      "x-amz-content-sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
  EXPECT_EQ(std::ranges::count(request.headers, digest), 1);
}

}  // namespace
}  // namespace cacheclip
