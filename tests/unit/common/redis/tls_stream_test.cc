#include "common/redis/tls_stream.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "common/base/status.h"
#include "tests/support/poll.h"
#include "tests/support/redis_server.h"
#include "tests/support/scripted_server.h"

namespace cacheclip {
namespace {

class TlsStreamTest : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    server_ = std::make_unique<RedisServer>(RedisServerOptions{.tls = true, .password = "secret"});
    options_ = server_->client_options();
    options_.retry_for = absl::ZeroDuration();
  }
  absl::Status Ping() {
    auto client = MakeRedisClient(options_);
    if (!client.ok()) return client.status();
    return (*client)->Execute({.args = {"PING"}, .key_index = 0}).status();
  }
  std::unique_ptr<RedisServer> server_;
  RedisClientOptions options_;
};

TEST_F(TlsStreamTest, VerifiesAddressAndName) {
  EXPECT_TRUE(Ping().ok()) << Ping();
  options_.endpoints[0].host = "localhost";
  EXPECT_TRUE(Ping().ok()) << Ping();
  options_.endpoints[0].host = "127.0.0.2";  // the same machine, not in the certificate
  server_ = std::make_unique<RedisServer>(
      RedisServerOptions{.tls = true, .password = "secret", .settings = {"bind 127.0.0.1 127.0.0.2"}});
  options_.endpoints[0].port = server_->port();
  EXPECT_TRUE(absl::IsUnauthenticated(Ping())) << Ping();
}

TEST_F(TlsStreamTest, ServerOfAnUnknownAuthorityIsRefused) {
  options_.tls.ca_file = GetTestCertificates().other_ca;
  EXPECT_TRUE(absl::IsUnauthenticated(Ping())) << Ping();
  options_.tls.ca_file = "";  // the system's authorities have not signed it either
  EXPECT_TRUE(absl::IsUnauthenticated(Ping())) << Ping();
}

TEST_F(TlsStreamTest, ServerThatWantsACertificateSaysSo) {
  options_.tls.certificate_file = options_.tls.key_file = "";
  // The server says so after the handshake and closes; if we have sent something by then, its reset may
  // overtake it.
  EXPECT_TRUE(PollUntil([&] {
    const absl::Status status = Ping();
    EXPECT_TRUE(absl::IsUnauthenticated(status) || absl::IsUnavailable(status)) << status;
    return absl::IsUnauthenticated(status);
  }));
}

TEST_F(TlsStreamTest, PasswordIsCheckedAndNeverTold) {
  options_.password = "hunter2";
  const absl::Status wrong = Ping();
  EXPECT_TRUE(absl::IsUnauthenticated(wrong)) << wrong;
  EXPECT_FALSE(absl::StrContains(wrong.ToString(), "hunter2"));
  options_.password = "";
  EXPECT_TRUE(absl::IsUnauthenticated(Ping())) << Ping();
}

TEST_F(TlsStreamTest, PlainServerIsUnavailableOverTls) {
  ScriptedServer plain([](ScriptedConnection& connection) { connection.Send("-ERR unknown command\r\n"); });
  options_.endpoints[0].port = plain.port();
  EXPECT_TRUE(absl::IsUnavailable(Ping())) << Ping();
}

TEST_F(TlsStreamTest, ServerThatDoesNotShakeHandsIsLate) {
  ScriptedServer silent([](ScriptedConnection& connection) {
    while (!connection.Receive().empty()) continue;
  });
  options_.endpoints[0].port = silent.port();
  options_.connect_timeout = absl::Milliseconds(50);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Ping())) << Ping();
}

TEST_F(TlsStreamTest, FilesThatCannotBeUsedAreNamed) {
  options_.tls.ca_file = "/nowhere.pem";
  EXPECT_EQ(FieldOf(Ping()), "tls.ca_file");
  options_ = server_->client_options();
  options_.tls.certificate_file = "/nowhere.pem";
  EXPECT_EQ(FieldOf(Ping()), "tls.certificate_file");
  options_ = server_->client_options();
  options_.tls.key_file = GetTestCertificates().ca;
  EXPECT_EQ(FieldOf(Ping()), "tls.key_file");
}

}  // namespace
}  // namespace cacheclip
