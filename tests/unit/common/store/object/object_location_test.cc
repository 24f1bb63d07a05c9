#include "common/store/object/object_location.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(ObjectLocation, TakesUrlsApart) {
  const ObjectLocation folder = ParseObjectUrl("file:///shared/cache/").value();
  EXPECT_EQ(folder.kind, ObjectLocation::Kind::kFolder);
  EXPECT_EQ(folder.folder, "/shared/cache");
  const ObjectLocation bucket = ParseObjectUrl("s3://my-bucket.x/some/prefix/").value();
  EXPECT_EQ(bucket.kind, ObjectLocation::Kind::kS3);
  EXPECT_EQ(bucket.bucket, "my-bucket.x");
  EXPECT_EQ(bucket.prefix, "some/prefix");
  EXPECT_EQ(ParseObjectUrl("s3://my-bucket").value().prefix, "");
}

TEST(ObjectLocation, WritesThemAgain) {
  for (const char* url : {"file:///a/b", "s3://bucket", "s3://bucket/p/q"})
    EXPECT_EQ(ObjectUrl(ParseObjectUrl(url).value()), url);
}

TEST(ObjectLocation, RefusesWhatIsNoPlaceNamingTheSetting) {
  for (const char* url : {"", "/shared", "http://bucket/x", "file://relative", "file:///", "s3://", "s3:///x",
                          "s3://ab", "s3://Bucket", "s3://-bucket", "s3://a..b", "s3://bucket/a//b",
                          "s3://bucket/../x", "s3://bucket/a b", "s3://bucket/a?b"}) {
    const auto location = ParseObjectUrl(url);
    EXPECT_TRUE(absl::IsInvalidArgument(location.status())) << url;
    EXPECT_EQ(FieldOf(location.status()), "object_url") << url;
  }
}

}  // namespace
}  // namespace cacheclip
