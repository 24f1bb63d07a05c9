#include "common/store/object/s3_xml.h"

#include <gtest/gtest.h>

#include <string>

namespace cacheclip {
namespace {

std::string Listing(const std::string& inside) {
  return "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" +
         inside + "</ListBucketResult>";
}
std::string Entry(const std::string& key) {
  return "<Contents><Key>" + key +
         "</Key><Size>5</Size><LastModified>2026-11-23T22:16:32.123Z</LastModified></Contents>";
}

TEST(S3Xml, ReadsAPage) {
  const S3Listing listing =
      ParseS3Listing(
          Listing(Entry("a/b") + Entry("c&amp;d") +
                  "<IsTruncated>true</IsTruncated><NextContinuationToken>next=</NextContinuationToken>"))
          .value();
  ASSERT_EQ(listing.entries.size(), 2u);
  EXPECT_EQ(listing.entries[0].key, "a/b");
  EXPECT_EQ(listing.entries[0].num_bytes, 5);
  EXPECT_EQ(absl::ToUnixMillis(listing.entries[0].modified), 1795472192123);
  EXPECT_EQ(listing.entries[1].key, "c&d");
  EXPECT_EQ(listing.next_token, "next=");
}

TEST(S3Xml, DecodesKeysWhereTheServerEncodedThem) {
  const std::string page = Entry("a%2Fb%20c") + "<IsTruncated>false</IsTruncated>";
  EXPECT_EQ(ParseS3Listing(Listing(page + "<EncodingType>url</EncodingType>"))->entries[0].key, "a/b c");
  EXPECT_EQ(ParseS3Listing(Listing(page))->entries[0].key, "a%2Fb%20c");
}

TEST(S3Xml, RefusesPagesThatAreNone) {
  const std::string end = "<IsTruncated>false</IsTruncated>";
  std::string too_many;
  for (int i = 0; i <= 1000; ++i) too_many += Entry("k");
  for (const std::string& xml :
       {std::string(), std::string("<html>"), std::string("<Other/>"), Listing(""),
        Listing("<Contents/>" + end), Listing(Entry("a")), Listing("<IsTruncated>true</IsTruncated>"),
        Listing(too_many + end), Listing("<Contents><Key>a</Key><Size>-1</Size></Contents>" + end),
        Listing("<Contents><Key>a</Key><Size>1</Size><LastModified>now</LastModified></Contents>" + end),
        Listing(Entry("a") + end).substr(0, 150)})
    EXPECT_TRUE(absl::IsUnavailable(ParseS3Listing(xml).status())) << xml.substr(0, 200);
}

TEST(S3Xml, NeitherEntitiesNorDepthHurt) {
  const std::string bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]>" +
                           Listing(Entry("&b;") + "<IsTruncated>false</IsTruncated>");
  const auto listing = ParseS3Listing(bomb);
  EXPECT_TRUE(!listing.ok() || listing->entries[0].key == "&b;") << "not expanded";
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_FALSE(ParseS3Listing(deep).ok());
}

TEST(S3Xml, ReadsUploadsAndCredentials) {
  EXPECT_EQ(ParseS3UploadId(
                "<InitiateMultipartUploadResult><UploadId>u-1</UploadId></InitiateMultipartUploadResult>")
                .value(),
            "u-1");
  EXPECT_FALSE(ParseS3UploadId("<InitiateMultipartUploadResult/>").ok());
  const std::string head =
      "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
      "<AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey>";
  const std::string tail =
      "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
  const std::string expiry = "<Expiration>2026-01-02T03:04:05Z</Expiration>";
  const StsCredentials credentials =
      ParseStsCredentials(head + "<SessionToken>T</SessionToken>" + expiry + tail).value();
  EXPECT_EQ(credentials.access_key_id + credentials.secret_access_key + credentials.session_token, "AST");
  EXPECT_EQ(credentials.expiry, absl::FromCivil(absl::CivilSecond(2026, 1, 2, 3, 4, 5), absl::UTCTimeZone()));
  EXPECT_FALSE(ParseStsCredentials(head + expiry + tail).ok()) << "without a session token";
  EXPECT_FALSE(ParseStsCredentials(head + "<SessionToken>T</SessionToken>" + tail).ok())
      << "without an expiry";
}

TEST(S3Xml, ReadsErrorsOfBothServices) {
  EXPECT_EQ(ParseS3Error("<Error><Code>NoSuchKey</Code><Message>m</Message></Error>").code, "NoSuchKey");
  EXPECT_EQ(ParseS3Error("<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>").code,
            "ExpiredToken");
  EXPECT_EQ(ParseS3Error("Bad Gateway").code, "");
}

}  // namespace
}  // namespace cacheclip
