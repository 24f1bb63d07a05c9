#include "common/store/object/web_identity.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/object_harness.h"

namespace cacheclip {
namespace {

class WebIdentityTest : public testing::Test {
 protected:
  WebIdentityTest() {
    std::ofstream(folder_.path() + "/token") << "the/token\n";
    http_ = HttpClient::Create({.clock = &clock_}).value();
    sts_.Decide([this](const ProxyRequest& request) { return Fault::Respond(200, Answer(request.number)); });
  }
  std::string Answer(int number) {
    const std::string expiry =
        absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", clock_.Now() + absl::Hours(1), absl::UTCTimeZone());
    return absl::StrCat(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>key-",
        number,
        "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>",
        expiry,
        "</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
        "</AssumeRoleWithWebIdentityResponse>");
  }
  std::unique_ptr<CredentialsProvider> Provider(const std::string& token_file) {
    CredentialsOptions options;
    options.region = "us-east-1";
    options.environment = TestEnvironment({{"AWS_ROLE_ARN", "arn:aws:iam::1:role/x"},
                                           {"AWS_WEB_IDENTITY_TOKEN_FILE", token_file},
                                           {"AWS_ENDPOINT_URL_STS", sts_.endpoint()}});
    options.http = http_.get();
    options.clock = options.retry.clock = &clock_;
    options.retry.pause = [](absl::Duration) {};
    return MakeCredentialsProvider(options).value();
  }
  std::string token_file() const { return folder_.path() + "/token"; }

  FakeClock clock_;
  TempFolder folder_;
  FaultProxy sts_;
  std::unique_ptr<HttpClient> http_;
};

TEST_F(WebIdentityTest, ExchangesTheTokenForAKey) {
  const auto provider = Provider(token_file());
  const Credentials credentials = provider->Get(NoDeadline()).value();
  EXPECT_EQ(credentials.access_key_id, "key-0");
  EXPECT_EQ(credentials.session_token, "t");
  const ProxyRequest request = sts_.requests().at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(
      request.body,
      "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&RoleSessionName=cacheclip&"
      "Version=2011-06-15&WebIdentityToken=the%2Ftoken");
  EXPECT_EQ(request.headers.count("authorization"), 0u) << "this request is not signed";
}

TEST_F(WebIdentityTest, RenewsTheKeyBeforeItExpires) {
  const auto provider = Provider(token_file());
  EXPECT_EQ(provider->Get(NoDeadline())->access_key_id, "key-0");
  clock_.Advance(absl::Minutes(54));
  EXPECT_EQ(provider->Get(NoDeadline())->access_key_id, "key-0");
  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(provider->Get(NoDeadline())->access_key_id, "key-1");
}

TEST_F(WebIdentityTest, KeepsAValidKeyWhileRenewalFails) {
  const auto provider = Provider(token_file());
  ASSERT_TRUE(provider->Get(NoDeadline()).ok());
  sts_.Decide([](const ProxyRequest&) { return Fault::Respond(503); });
  clock_.Advance(absl::Minutes(58));
  EXPECT_EQ(provider->Get(NoDeadline())->access_key_id, "key-0");
  clock_.Advance(absl::Minutes(3));
  EXPECT_TRUE(absl::IsUnavailable(provider->Get(NoDeadline()).status())) << "expired now";
}

TEST_F(WebIdentityTest, ARefusalIsTypedAndShowsNoToken) {
  sts_.Decide([](const ProxyRequest&) {
    return Fault::Respond(400,
                          "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>");
  });
  const absl::Status status = Provider(token_file())->Get(NoDeadline()).status();
  EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
  EXPECT_EQ(status.message().find("the/token"), absl::string_view::npos);
  EXPECT_EQ(FieldOf(Provider(folder_.path() + "/absent")->Get(NoDeadline()).status()), "s3_credentials");
}

TEST_F(WebIdentityTest, RefusesAnEndpointThatIsNone) {
  CredentialsOptions options;
  options.environment = TestEnvironment(
      {{"AWS_ROLE_ARN", "a"}, {"AWS_WEB_IDENTITY_TOKEN_FILE", "f"}, {"AWS_ENDPOINT_URL_STS", "ftp://x"}});
  options.http = http_.get();
  EXPECT_EQ(FieldOf(MakeCredentialsProvider(options).status()), "AWS_ENDPOINT_URL_STS");
}

}  // namespace
}  // namespace cacheclip
