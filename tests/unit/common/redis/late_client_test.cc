#include "common/redis/late_client.h"

#include <gtest/gtest.h>

#include "tests/support/poll.h"
#include "tests/support/redis_server.h"

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

}  // namespace
}  // namespace cacheclip
