#include "common/redis/node_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "tests/support/poll.h"
#include "tests/support/redis_server.h"
#include "tests/support/scripted_server.h"

namespace cacheclip {
namespace {

const RedisCommand kPing{.args = {"PING"}, .key_index = 0};

void AnswerPings(ScriptedConnection& connection) {
  while (!connection.Receive().empty()) connection.Send("+PONG\r\n");
}

class NodePoolTest : public testing::Test {
 protected:
  NodePoolTest() {
    options_.clock = &clock_;
    options_.timeout = absl::Milliseconds(200);
    options_.connections_per_node = 3;
  }
  NodePool Pool(int port) { return NodePool({"127.0.0.1", port}, options_, nullptr); }
  FakeClock clock_;
  RedisClientOptions options_;
};

TEST_F(NodePoolTest, KeepsAndBoundsItsConnections) {
  ScriptedServer server(AnswerPings);
  NodePool pool = Pool(server.port());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(pool.Execute(kPing, absl::InfiniteFuture()).ok());
  EXPECT_EQ(server.num_connections(), 1);
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int thread = 0; thread < 8; ++thread)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) failures += pool.Execute(kPing, absl::InfiniteFuture()).ok() ? 0 : 1;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_LE(server.num_connections(), 3);
}

TEST_F(NodePoolTest, FullPoolIsAnErrorAfterTheTimeout) {
  options_.connections_per_node = 1;
  std::atomic<int> num_received{0};
  ScriptedServer server([&](ScriptedConnection& connection) {
    while (!connection.Receive().empty()) ++num_received;
  });
  options_.timeout = absl::Seconds(5);
  NodePool slow = Pool(server.port());
  std::thread holder([&] { EXPECT_FALSE(slow.Execute(kPing, absl::InfiniteFuture()).ok()); });
  ASSERT_TRUE(PollUntil([&] { return num_received > 0; }));
  EXPECT_TRUE(absl::IsResourceExhausted(slow.Execute(kPing, absl::Now() + absl::Milliseconds(20)).status()));
  holder.join();
}

TEST_F(NodePoolTest, ConnectionThatTheServerClosedIsReplacedWithoutAnError) {
  std::atomic<int> num_closed{0};
  ScriptedServer server([&](ScriptedConnection& connection) {
    connection.Receive();
    connection.Send("+PONG\r\n");
    ++num_closed;
  });
  NodePool pool = Pool(server.port());
  for (int i = 1; i <= 3; ++i) {
    // Until the close has reached us a connection may still look good: the pool says so with UNAVAILABLE.
    EXPECT_TRUE(PollUntil([&] { return pool.Execute(kPing, absl::InfiniteFuture()).ok(); }));
    EXPECT_TRUE(PollUntil([&] { return num_closed >= i; }));
  }
}

TEST_F(NodePoolTest, IdleConnectionIsReplacedAfterItsTime) {
  ScriptedServer server(AnswerPings);
  NodePool pool = Pool(server.port());
  ASSERT_TRUE(pool.Execute(kPing, absl::InfiniteFuture()).ok());
  clock_.Advance(options_.idle_timeout + absl::Seconds(1));
  ASSERT_TRUE(pool.Execute(kPing, absl::InfiniteFuture()).ok());
  EXPECT_EQ(server.num_connections(), 2);
}

TEST_F(NodePoolTest, DeadNodeIsLeftAloneUntilTheProbe) {
  const int port = FreePort();
  NodePool pool = Pool(port);
  for (int i = 0; i < options_.breaker_failures; ++i)
    EXPECT_TRUE(absl::IsUnavailable(pool.Execute(kPing, absl::InfiniteFuture()).status()));
  EXPECT_TRUE(pool.is_left_alone());
  const absl::Status status = pool.Execute(kPing, absl::InfiniteFuture()).status();
  EXPECT_TRUE(absl::StrContains(status.message(), "left alone")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), pool.endpoint().ToString())) << status;
}

TEST_F(NodePoolTest, ShortDeadlinesDoNotBlameTheNode) {
  ScriptedServer server([](ScriptedConnection& connection) {
    while (!connection.Receive().empty()) continue;
  });
  NodePool pool = Pool(server.port());
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(absl::IsDeadlineExceeded(pool.Execute(kPing, absl::Now() + absl::Milliseconds(5)).status()));
  EXPECT_FALSE(pool.is_left_alone());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(pool.Execute(kPing, absl::InfiniteFuture()).ok());
  EXPECT_TRUE(pool.is_left_alone()) << "it had its full time";
}

TEST_F(NodePoolTest, ErrorRepliesAreStatusesOfANodeThatAnswers) {
  ScriptedServer server([](ScriptedConnection& connection) {
    while (!connection.Receive().empty()) connection.Send("-OOM command not allowed\r\n");
  });
  NodePool pool = Pool(server.port());
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(absl::IsResourceExhausted(pool.Execute(kPing, absl::InfiniteFuture()).status()));
  EXPECT_FALSE(pool.is_left_alone());
}

}  // namespace
}  // namespace cacheclip
