// What only the S3 client does, against a real server and one that misbehaves. The rest is in
// object_client_test.cc.
#include "common/store/object/s3_object_client.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/object_harness.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

class S3ObjectClientTest : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_REQUIRE_S3_SERVER();
    server_ = &S3Server::Plain();
    bucket_ = server_->MakeBucket();
    proxy_ = std::make_unique<FaultProxy>(server_->address());
  }
  // Through the proxy.
  S3ObjectClientOptions Options() { return TestS3Options(proxy_->endpoint(), bucket_); }
  static std::unique_ptr<S3ObjectClient> Client(S3ObjectClientOptions options) {
    return S3ObjectClient::Create(std::move(options)).value();
  }
  static absl::Status Put(S3ObjectClient& client, const std::string& name, const std::string& text,
                          PutMode mode = PutMode::kIfAbsent) {
    return client.Put(name, BytesOf(text), mode, NoDeadline());
  }
  // The first `count` requests fail, the others pass.
  void FailFirst(int count, const Fault& fault) {
    const int from = static_cast<int>(proxy_->requests().size());
    proxy_->Decide(
        [=](const ProxyRequest& request) { return request.number < from + count ? fault : Fault::Pass(); });
  }
  bool IsOnServer(const std::string& name) {
    return std::filesystem::exists(server_->ObjectFile(bucket_, "some/prefix/" + name));
  }
  static std::string LargeText() {
    std::string text(2 * kMinS3PartBytes + 999, '\0');
    for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
    return text;
  }
  S3ObjectClientOptions InParts() {
    S3ObjectClientOptions options = Options();
    options.multipart_bytes = options.part_bytes = kMinS3PartBytes;
    return options;
  }

  S3Server* server_ = nullptr;
  std::string bucket_;
  std::unique_ptr<FaultProxy> proxy_;
};

TEST_F(S3ObjectClientTest, VirtualHostStyleReachesTheSameObjects) {
  S3ObjectClientOptions options = TestS3Options(server_->named_endpoint(), bucket_);
  options.path_style = false;
  ASSERT_TRUE(Put(*Client(options), "a/b", "text").ok());
  EXPECT_TRUE(Client(Options())->Head("a/b", NoDeadline()).ok());
  EXPECT_EQ(Client(options)->List("a/", "", 10, NoDeadline())->objects.size(), 1u);
}

TEST_F(S3ObjectClientTest, TlsNeedsATrustedCertificate) {
  S3Server& tls = S3Server::Tls();
  S3ObjectClientOptions options = TestS3Options(tls.endpoint(), tls.MakeBucket());
  const absl::Status untrusted = Put(*Client(options), "a", "x");
  EXPECT_TRUE(absl::IsFailedPrecondition(untrusted)) << untrusted;
  EXPECT_EQ(FieldOf(untrusted), "s3_tls_ca");
  options.http.tls_ca = tls.certificate();
  EXPECT_TRUE(Put(*Client(options), "a", "x").ok());
}

TEST_F(S3ObjectClientTest, WrongCredentialsAndBucketsAreTyped) {
  S3ObjectClientOptions wrong_secret = Options();
  wrong_secret.environment = TestEnvironment(
      {{"AWS_ACCESS_KEY_ID", S3Server::kAccessKey}, {"AWS_SECRET_ACCESS_KEY", "wrong-secret"}});
  const absl::Status secret = Put(*Client(wrong_secret), "a", "x");
  EXPECT_TRUE(absl::IsUnauthenticated(secret)) << secret;
  EXPECT_EQ(FieldOf(secret), "s3_credentials");
  EXPECT_FALSE(absl::StrContains(secret.message(), "wrong-secret"));
  S3ObjectClientOptions unknown = Options();
  unknown.environment = TestEnvironment({{"AWS_ACCESS_KEY_ID", "nobody"}, {"AWS_SECRET_ACCESS_KEY", "x"}});
  const absl::Status nobody = Client(unknown)->List("", "", 1, NoDeadline()).status();
  EXPECT_TRUE(absl::IsUnauthenticated(nobody)) << nobody;
  S3ObjectClientOptions absent = Options();
  absent.bucket = "no-such-bucket";
  const absl::Status bucket = Client(absent)->List("", "", 1, NoDeadline()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(bucket)) << bucket;
  EXPECT_EQ(FieldOf(bucket), "object_url");
  S3ObjectClientOptions region = Options();
  region.region = "eu-west-9";
  const absl::Status elsewhere = Client(region)->List("", "", 1, NoDeadline()).status();
  EXPECT_EQ(FieldOf(elsewhere), "s3_region") << elsewhere;
  EXPECT_EQ(proxy_->requests().size(), 4u) << "none of them was tried again";
}

TEST_F(S3ObjectClientTest, PassingFailuresAreTriedAgain) {
  const auto client = Client(Options());
  int number = 0;
  for (const Fault& fault : {Fault::Respond(500), Fault::Respond(502), Fault::Respond(503),
                             Fault::Respond(429), Fault::Reset(), Fault::Lose()}) {
    FailFirst(2, fault);
    const std::string name = absl::StrCat("object-", ++number);
    EXPECT_TRUE(Put(*client, name, "text", PutMode::kReplace).ok()) << number;
    FailFirst(2, fault);
    EXPECT_EQ(client->Head(name, NoDeadline())->num_bytes, 4) << number;
  }
}

TEST_F(S3ObjectClientTest, LastingFailuresAreReportedAfterAFewTries) {
  const auto client = Client(Options());
  proxy_->Decide([](const ProxyRequest&) { return Fault::Respond(503); });
  EXPECT_TRUE(absl::IsUnavailable(Put(*client, "a", "x")));
  EXPECT_EQ(proxy_->requests().size(), 5u);
  EXPECT_FALSE(IsOnServer("a"));
}

TEST_F(S3ObjectClientTest, CutAndEndlessBodiesAreNeverTakenForTheObject) {
  const auto client = Client(Options());
  ASSERT_TRUE(Put(*client, "a", std::string(100'000, 'x')).ok());
  std::vector<std::byte> out(100'000);
  for (const Fault& fault : {Fault::Cut(0), Fault::Cut(50'000), Fault::Cut(99'999), Fault::Endless()}) {
    FailFirst(1, fault);
    const auto read = client->Read("a", 0, out, NoDeadline());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->num_bytes, 100'000);
    FailFirst(100, fault);
    EXPECT_TRUE(absl::IsUnavailable(client->Read("a", 0, out, NoDeadline()).status()));
  }
}

TEST_F(S3ObjectClientTest, AServerThatIgnoresRangesIsNotBelieved) {
  const auto client = Client(Options());
  proxy_->Decide([](const ProxyRequest&) { return Fault::Respond(200, "0123456789"); });
  std::vector<std::byte> out(20);
  EXPECT_EQ(client->Read("a", 0, out, NoDeadline())->object_bytes, 10);
  EXPECT_TRUE(absl::IsUnavailable(client->Read("a", 3, out, NoDeadline()).status()));
}

TEST_F(S3ObjectClientTest, StalledAnswersEndAtTheDeadline) {
  const auto client = Client(Options());
  proxy_->Decide([](const ProxyRequest&) { return Fault::Stall(); });
  std::vector<std::byte> out(10);
  const auto soon = [] { return CancellationToken(absl::Now() + absl::Milliseconds(50)); };
  EXPECT_TRUE(absl::IsDeadlineExceeded(client->Read("a", 0, out, soon()).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(client->Put("a", out, PutMode::kIfAbsent, soon())));
  EXPECT_TRUE(absl::IsDeadlineExceeded(client->Head("a", soon()).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(client->Delete("a", soon())));
  EXPECT_TRUE(absl::IsDeadlineExceeded(client->List("", "", 1, soon()).status()));
}

TEST_F(S3ObjectClientTest, BrokenListingsAreTriedAgain) {
  const auto client = Client(Options());
  ASSERT_TRUE(Put(*client, "a", "x").ok());
  for (const Fault& fault : {Fault::Respond(200, "<html>login</html>"), Fault::Cut(30)}) {
    FailFirst(2, fault);
    EXPECT_EQ(client->List("", "", 10, NoDeadline())->objects.size(), 1u);
  }
}

TEST_F(S3ObjectClientTest, EveryPartOfAnUploadSurvivesFaults) {
  const std::string text = LargeText();
  for (int failing = 0; failing < 5; ++failing) {  // create, three parts, complete
    const int from = static_cast<int>(proxy_->requests().size());
    proxy_->Decide([=](const ProxyRequest& request) {
      if (request.number != from + failing) return Fault::Pass();
      return failing % 2 == 0 ? Fault::Respond(503) : Fault::Reset();
    });
    const std::string name = absl::StrCat("large-", failing);
    ASSERT_TRUE(Put(*Client(InParts()), name, text).ok()) << failing;
    std::vector<std::byte> out(text.size());
    ASSERT_EQ(Client(InParts())->Read(name, 0, out, NoDeadline())->num_bytes, text.size());
    EXPECT_TRUE(std::ranges::equal(out, BytesOf(text))) << failing;
  }
}

TEST_F(S3ObjectClientTest, ACompletionWhoseAnswerGotLostIsASuccess) {
  proxy_->Decide([lost = false](const ProxyRequest& request) mutable {
    const bool is_completion = request.method == "POST" && absl::StrContains(request.target, "uploadId=");
    return is_completion && !std::exchange(lost, true) ? Fault::Lose() : Fault::Pass();
  });
  EXPECT_TRUE(Put(*Client(InParts()), "large", LargeText(), PutMode::kReplace).ok());
  EXPECT_TRUE(IsOnServer("large"));
}

TEST_F(S3ObjectClientTest, AFailedUploadIsAbortedAndLeavesNothing) {
  proxy_->Decide([](const ProxyRequest& request) {
    return absl::StrContains(request.target, "partNumber=2") ? Fault::Respond(500) : Fault::Pass();
  });
  EXPECT_TRUE(absl::IsUnavailable(Put(*Client(InParts()), "large", LargeText())));
  EXPECT_FALSE(IsOnServer("large"));
  const ProxyRequest last = proxy_->requests().back();
  EXPECT_EQ(last.method, "DELETE");
  EXPECT_TRUE(absl::StrContains(last.target, "uploadId="));
}

TEST_F(S3ObjectClientTest, AWriterKilledDuringAnUploadLeavesNothingVisible) {
  const std::string text = LargeText();
  for (int kill_at = 0; kill_at < 5; ++kill_at) {
    const std::string name = absl::StrCat("large-", kill_at);
    const pid_t child = ::fork();
    if (child == 0) {
      int step = 0;
      S3ObjectClientOptions options = InParts();
      options.endpoint = server_->endpoint();
      options.on_upload_step = [&](std::string_view) {
        if (step++ == kill_at) ::kill(::getpid(), SIGKILL);
      };
      Put(*Client(options), name, text).IgnoreError();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << kill_at;
    const auto info = Client(Options())->Head(name, NoDeadline());
    const bool was_completed = kill_at == 4;
    EXPECT_EQ(info.ok(), was_completed) << kill_at;
    EXPECT_TRUE(!info.ok() || info->num_bytes == text.size());
  }
  EXPECT_EQ(Client(Options())->List("", "", 10, NoDeadline())->objects.size(), 1u);
}

TEST_F(S3ObjectClientTest, RefusesBadOptionsByName) {
  const auto field = [&](auto change) {
    S3ObjectClientOptions options = Options();
    change(options);
    return FieldOf(S3ObjectClient::Create(std::move(options)).status());
  };
  EXPECT_EQ(field([](auto& options) { options.part_bytes = 1 << 20; }), "part_bytes");
  EXPECT_EQ(field([](auto& options) { options.bucket = "Not A Bucket"; }), "object_url");
  EXPECT_EQ(field([](auto& options) { options.endpoint = "localhost:9000"; }), "s3_endpoint");
  EXPECT_EQ(field([](auto& options) { options.environment = TestEnvironment({}); }), "s3_credentials");
}

}  // namespace
}  // namespace cacheclip
