#include "common/redis/late_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "tests/support/poll.h"
#include "tests/support/redis_server.h"
#include "tests/support/scripted_server.h"

namespace cacheclip {
namespace {

TEST(LateClient, AProgramMayStartBeforeItsRedis) {
  CACHECLIP_NEEDS_REDIS();
  RedisServer server;
  RedisClientOptions options = server.client_options();
  options.cluster_mode = ClusterMode::kAuto;
  options.breaker_backoff = options.max_breaker_backoff = absl::Milliseconds(1);
  server.Kill();
  const auto client = MakeRedisClient(options);
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ((*client)->Execute({.args = {"SET", "k", "v"}}).status().code(), absl::StatusCode::kUnavailable);
  server.Restart();
  EXPECT_TRUE(PollUntil([&] { return (*client)->Execute({.args = {"SET", "k", "v"}}).ok(); }));
  EXPECT_EQ((*client)->Execute({.args = {"GET", "k"}})->text, "v");
  EXPECT_FALSE((*client)->is_cluster());
}

TEST(LateClient, EveryCommandOfAStreamGetsItsError) {
  RedisClientOptions options;
  options.endpoints = {{"127.0.0.1", FreePort()}};
  LateClient client(options, nullptr);
  const RedisCommand commands[] = {{.args = {"GET", "a"}}, {.args = {"GET", "b"}}};
  const auto replies = client.Pipeline(commands);
  ASSERT_EQ(replies.size(), 2);
  for (const auto& reply : replies) EXPECT_EQ(reply.status().code(), absl::StatusCode::kUnavailable);
}

TEST(LateClient, NobodyWaitsLongerThanItsOwnDeadlineForTheAnswer) {
  std::atomic<bool> is_silent{true};
  std::atomic<int> num_asked{0};
  ScriptedServer server([&](ScriptedConnection& connection) {
    while (!connection.Receive().empty()) {
      ++num_asked;
      while (is_silent) std::this_thread::yield();
      connection.Send("-ERR This instance has cluster support disabled\r\n");
    }
  });
  RedisClientOptions options;
  options.endpoints = {{"127.0.0.1", server.port()}};
  options.timeout = absl::Minutes(1);
  LateClient client(options, nullptr);
  std::atomic<bool> has_patient_returned{false};
  std::thread patient([&] {
    EXPECT_TRUE(client.Resolve().ok());
    has_patient_returned = true;
  });
  EXPECT_TRUE(PollUntil([&] { return num_asked == 1; }));
  const auto hurried =
      client.Execute({.args = {"GET", "k"}}, {.deadline = absl::Now() + absl::Milliseconds(20)});
  EXPECT_EQ(hurried.status().code(), absl::StatusCode::kDeadlineExceeded) << hurried.status();
  EXPECT_FALSE(client.is_cluster()) << "nor does the question whether it is one";
  EXPECT_FALSE(has_patient_returned);
  is_silent = false;
  patient.join();
}

TEST(LateClient, WhoAsksStopsAtItsDeadlineAndBlamesNobody) {
  std::atomic<bool> is_silent{true};
  ScriptedServer server([&](ScriptedConnection& connection) {
    while (!connection.Receive().empty())
      if (!is_silent) connection.Send("-ERR This instance has cluster support disabled\r\n");
  });
  RedisClientOptions options;
  options.endpoints = {{"127.0.0.1", server.port()}};
  options.timeout = absl::Minutes(1);
  options.breaker_backoff = absl::Hours(1);
  LateClient client(options, nullptr);
  EXPECT_EQ(client.Resolve(absl::Now() + absl::Milliseconds(20)).code(), absl::StatusCode::kDeadlineExceeded);
  is_silent = false;
  EXPECT_TRUE(client.Resolve(absl::Now() + absl::Minutes(1)).ok()) << "no breaker stands in the way";
}

}  // namespace
}  // namespace cacheclip
