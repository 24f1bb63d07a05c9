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

// Makes `replica` one of `primary` and the other a primary, as a failover does.
void FailOver(RedisServer& replica, RedisServer& primary) {
  ASSERT_TRUE(primary.MakeClient()->Execute({.args = {"REPLICAOF", "NO", "ONE"}, .key_index = 0}).ok());
  ASSERT_TRUE(
      replica.MakeClient()
          ->Execute({.args = {"REPLICAOF", "127.0.0.1", std::to_string(primary.port())}, .key_index = 0})
          .ok());
}

TEST_F(StandaloneClientTest, WritesMoveFromADemotedServerToTheOther) {
  RedisServer first, second;
  FailOver(second, first);
  RedisClientOptions options = first.client_options();
  options.endpoints.push_back({"127.0.0.1", second.port()});
  StandaloneClient client(options, nullptr);
  const RedisCallOptions at_once{.retry_for = absl::ZeroDuration()};
  ASSERT_TRUE(client.Execute({.args = {"SET", "k", "1"}}, at_once).ok());

  FailOver(first, second);
  const auto written = client.Execute({.args = {"SET", "k", "2"}}, at_once);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(second.MakeClient()->Execute({.args = {"GET", "k"}})->text, "2");
  const RedisScript script("return redis.call('INCR', KEYS[1])");
  const std::vector<std::string> keys = {"n"};
  EXPECT_EQ(client.RunScript(script, keys, {}, at_once)->integer, 1);

  FailOver(second, first);
  const auto back = client.RunScript(script, keys, {}, at_once);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_GE(first.MakeClient()->Execute({.args = {"GET", "n"}})->text, "1");
}

TEST_F(StandaloneClientTest, APrimaryThatOnlyRestartsTakesWritesAgain) {
  RedisServer primary, replica;
  FailOver(replica, primary);
  RedisClientOptions options = primary.client_options();
  options.endpoints.push_back({"127.0.0.1", replica.port()});
  options.max_breaker_backoff = options.breaker_backoff = absl::Milliseconds(10);
  StandaloneClient client(options, nullptr);
  const RedisCallOptions at_once{.retry_for = absl::ZeroDuration()};
  const auto write = [&] { return client.Execute({.args = {"SET", "k", "1"}}, at_once).status(); };
  ASSERT_TRUE(write().ok());

  primary.Kill();
  // More than enough to open the breaker: from then on the replica is asked first.
  for (int i = 0; i < 3 * options.breaker_failures; ++i) EXPECT_TRUE(absl::IsUnavailable(write())) << write();
  EXPECT_TRUE(client.Execute(kPing, at_once).ok()) << "the replica serves reads";
  primary.Restart();
  EXPECT_TRUE(PollUntil([&] { return write().ok(); })) << write();
  EXPECT_TRUE(write().ok()) << "and keeps taking them";
}

TEST_F(StandaloneClientTest, ADeadServerBetweenAReplicaAndThePrimaryIsPassedOver) {
  RedisServer first, second;
  FailOver(second, first);
  RedisClientOptions options = first.client_options();
  options.endpoints.push_back({"127.0.0.1", FreePort()});
  options.endpoints.push_back({"127.0.0.1", second.port()});
  options.max_breaker_backoff = options.breaker_backoff = absl::Hours(1);
  StandaloneClient client(options, nullptr);
  const RedisCallOptions at_once{.retry_for = absl::ZeroDuration()};
  const auto write = [&] { return client.Execute({.args = {"SET", "k", "1"}}, at_once).status(); };
  FailOver(first, second);
  ASSERT_TRUE(PollUntil([&] { return write().ok(); })) << "the dead one's breaker opens";
  FailOver(second, first);
  ASSERT_TRUE(write().ok());
  FailOver(first, second);
  EXPECT_TRUE(write().ok()) << write();
}

TEST_F(StandaloneClientTest, WithoutAPrimaryAWriteIsUnavailable) {
  RedisServer first, second, elsewhere;
  FailOver(first, elsewhere);
  FailOver(second, elsewhere);
  RedisClientOptions options = first.client_options();
  options.endpoints.push_back({"127.0.0.1", second.port()});
  StandaloneClient client(options, nullptr);
  const auto written = client.Execute({.args = {"SET", "k", "1"}}, {.retry_for = absl::Milliseconds(50)});
  EXPECT_TRUE(absl::IsUnavailable(written.status())) << written.status();
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
