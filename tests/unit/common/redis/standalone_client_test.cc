#include "common/redis/standalone_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/poll.h"
#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

const RedisCommand kPing{.args = {"PING"}, .key_index = 0};

class StandaloneClientTest : public testing::Test {
 protected:
  void SetUp() override { CACHECLIP_NEEDS_REDIS(); }
};

TEST_F(StandaloneClientTest, RestartWithinTheRetryTimeIsNotNoticed) {
  RedisServer server;
  RedisClientOptions options = server.client_options();
  options.max_breaker_backoff = options.breaker_backoff = absl::Milliseconds(10);
  StandaloneClient client(options, nullptr);
  ASSERT_TRUE(client.Execute(kPing).ok());
  server.Kill();
  std::thread restart([&] { server.Restart(); });
  EXPECT_TRUE(client.Execute(kPing, {.is_idempotent = true, .retry_for = absl::Seconds(60)}).ok());
  restart.join();
}

TEST_F(StandaloneClientTest, SecondEndpointTakesOverFromADeadOne) {
  RedisServer server;
  RedisClientOptions options = server.client_options();
  options.endpoints.insert(options.endpoints.begin(), {"127.0.0.1", FreePort()});
  StandaloneClient client(options, nullptr);
  EXPECT_TRUE(client.Execute(kPing, {.retry_for = absl::Seconds(60)}).ok());
  EXPECT_TRUE(client.Execute(kPing, {.retry_for = absl::ZeroDuration()}).ok()) << "known by now";
}

TEST_F(StandaloneClientTest, DeadServerCostsNothingOnceThatIsKnown) {
  RedisClientOptions options;
  options.endpoints = {{"127.0.0.1", FreePort()}};
  StandaloneClient client(options, nullptr);
  EXPECT_TRUE(absl::IsUnavailable(client.Execute(kPing, {.retry_for = absl::Milliseconds(100)}).status()));
  // The test would not end if one of these used up its time for retries.
  for (int i = 0; i < 1000; ++i)
    EXPECT_TRUE(absl::IsUnavailable(client.Execute(kPing, {.retry_for = absl::Hours(1)}).status()));
}

TEST_F(StandaloneClientTest, UsesItsDatabaseAndItsUser) {
  RedisServer server({.user = "worker", .password = "secret"});
  RedisClientOptions options = server.client_options();
  options.database = 3;
  StandaloneClient client(options, nullptr);
  ASSERT_TRUE(client.Execute({.args = {"SET", "k", "v"}}).ok());
  EXPECT_TRUE(server.MakeClient()->Execute({.args = {"GET", "k"}})->is_nil()) << "database 0";
  EXPECT_EQ(client.Execute({.args = {"ACL", "WHOAMI"}, .key_index = 0})->text, "worker");
  options.cluster_mode = ClusterMode::kAuto;
  EXPECT_FALSE(MakeRedisClient(options).value()->is_cluster());
  EXPECT_EQ(client.address(), "127.0.0.1:" + std::to_string(server.port()));
}

// Every reply is the right one, or an error, while the server is killed and restarted under load.
TEST_F(StandaloneClientTest, ServerKilledAndRestartedUnderLoadNeverMixesReplies) {
  RedisServer server;
  RedisClientOptions options = server.client_options();
  options.max_breaker_backoff = options.breaker_backoff = absl::Milliseconds(10);
  StandaloneClient client(options, nullptr);
  std::atomic<bool> is_done{false};
  std::atomic<int64_t> num_wrong{0}, num_right{0}, num_errors{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&, thread] {
      for (int64_t i = 0; !is_done; ++i) {
        const std::string text = std::to_string(thread) + "/" + std::to_string(i);
        const std::vector<RedisCommand> echoes(20, {.args = {"ECHO", text}, .key_index = 0});
        for (const auto& reply : client.Pipeline(echoes, {.retry_for = absl::ZeroDuration()})) {
          if (!reply.ok()) ++num_errors;
          if (reply.ok()) ++(reply->text == text ? num_right : num_wrong);
        }
      }
    });
  for (int round = 0; round < 5; ++round) {
    const int64_t before = num_right;
    EXPECT_TRUE(PollUntil([&] { return num_right > before + 1000; }));
    server.Kill();
    const int64_t errors_before = num_errors;
    EXPECT_TRUE(PollUntil([&] { return num_errors > errors_before; }));
    server.Restart();
  }
  is_done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_wrong, 0) << "of " << num_right;
}

}  // namespace
}  // namespace cacheclip
