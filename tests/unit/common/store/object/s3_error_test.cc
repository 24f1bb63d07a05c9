#include "common/store/object/s3_error.h"

#include <gtest/gtest.h>

#include <string>

#include "common/base/status.h"

namespace cacheclip {
namespace {

absl::Status StatusOf(int status, const std::string& code, const std::string& more = "") {
  HttpResponse response;
  response.status = status;
  if (!code.empty()) response.body = "<Error><Code>" + code + "</Code>" + more + "</Error>";
  return S3ErrorStatus(response, {"GET x of s3://b", "us-east-1", "the environment"});
}

TEST(S3Error, PassingFailuresAreUnavailable) {
  for (const int status : {408, 409, 429, 500, 502, 503, 504})
    EXPECT_TRUE(absl::IsUnavailable(StatusOf(status, ""))) << status;
  EXPECT_TRUE(absl::IsUnavailable(StatusOf(400, "RequestTimeout")));
  EXPECT_TRUE(absl::IsUnavailable(StatusOf(503, "SlowDown")));
  EXPECT_TRUE(absl::IsUnavailable(StatusOf(200, "InternalError"))) << "an error behind a success";
}

TEST(S3Error, AnswersHaveTheirCodes) {
  EXPECT_TRUE(absl::IsNotFound(StatusOf(404, "NoSuchKey")));
  EXPECT_TRUE(absl::IsNotFound(StatusOf(404, "")));
  EXPECT_TRUE(absl::IsAlreadyExists(StatusOf(412, "PreconditionFailed")));
  EXPECT_TRUE(absl::IsPermissionDenied(StatusOf(403, "AccessDenied")));
  EXPECT_TRUE(absl::IsResourceExhausted(StatusOf(507, "")));
  EXPECT_TRUE(absl::IsResourceExhausted(StatusOf(403, "QuotaExceeded")));
  EXPECT_TRUE(absl::IsUnimplemented(StatusOf(501, "NotImplemented")));
}

TEST(S3Error, WrongSettingsNameThemselves) {
  const absl::Status bucket = StatusOf(404, "NoSuchBucket");
  EXPECT_TRUE(absl::IsFailedPrecondition(bucket));
  EXPECT_EQ(FieldOf(bucket), "object_url");
  for (const char* code :
       {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "RequestTimeTooSkewed"}) {
    const absl::Status credentials = StatusOf(403, code);
    EXPECT_TRUE(absl::IsUnauthenticated(credentials)) << code;
    EXPECT_EQ(FieldOf(credentials), "s3_credentials") << code;
    EXPECT_NE(credentials.message().find("the environment"), absl::string_view::npos) << code;
  }
  const absl::Status region = StatusOf(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>");
  EXPECT_EQ(FieldOf(region), "s3_region");
  EXPECT_NE(region.message().find("eu-west-1"), absl::string_view::npos);
  EXPECT_EQ(FieldOf(StatusOf(301, "")), "s3_region");
}

TEST(S3Error, ServerTextIsCleanedAndShortened) {
  const absl::Status status =
      StatusOf(400, "Odd", "<Message>line\nbreak\x01" + std::string(10'000, 'x') + "</Message>");
  EXPECT_LT(status.message().size(), 600u);
  EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
  EXPECT_EQ(status.message().find('\x01'), absl::string_view::npos);
}

}  // namespace
}  // namespace cacheclip
