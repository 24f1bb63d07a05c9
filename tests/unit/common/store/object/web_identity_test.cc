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

TEST(StsAuthority, APrivateOneVouchesForPrivateServersOnly) {
  EXPECT_EQ(StsAuthority(TestEnvironment({}), "ca.pem"), "") << "Amazon's of the region";
  const auto authority = [](const std::string& endpoint) {
    return StsAuthority(TestEnvironment({{"AWS_ENDPOINT_URL_STS", endpoint}}), "ca.pem");
  };
  for (const char* endpoint : {"", "https://sts.amazonaws.com", "https://sts.eu-west-1.amazonaws.com:443/",
                               "https://sts.cn-north-1.amazonaws.com.cn"})
    EXPECT_EQ(authority(endpoint), "") << endpoint;
  for (const char* endpoint : {"https://sts.example.com", "https://s3.example.com:9000/sts", "https://minio",
                               "https://amazonaws.com.example.com", "https://example.com/.amazonaws.com"})
    EXPECT_EQ(authority(endpoint), "ca.pem") << endpoint;
}

// A TLS server whose certificate is its own authority stands for STS; the S3 endpoint is never reached.
TEST(StsAuthority, IsWhatTheExchangeTrusts) {
  CACHECLIP_REQUIRE_S3_SERVER();
  const S3Server& server = S3Server::Tls();
  TempFolder folder;
  std::ofstream(folder.path() + "/token") << "token\n";
  const auto error = [&](const std::string& tls_ca) {
    S3ObjectClientOptions options;
    options.bucket = "bucket";
    options.endpoint = "http://127.0.0.1:1";
    options.http.tls_ca = tls_ca;
    options.environment = TestEnvironment({{"AWS_ROLE_ARN", "arn:aws:iam::1:role/x"},
                                           {"AWS_WEB_IDENTITY_TOKEN_FILE", folder.path() + "/token"},
                                           {"AWS_ENDPOINT_URL_STS", server.endpoint()}});
    options.retry.max_attempts = 1;
    return S3ObjectClient::Create(std::move(options)).value()->Head("x", NoDeadline()).status();
  };
  EXPECT_EQ(FieldOf(error("")), "s3_tls_ca") << "the system's authorities do not know it";
  EXPECT_NE(FieldOf(error(server.certificate())), "s3_tls_ca") << error(server.certificate());
}

}  // namespace
}  // namespace cacheclip
