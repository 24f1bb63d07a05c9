#include "common/redis/connection.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "tests/support/scripted_server.h"

namespace cacheclip {
namespace {

int CountPings(const std::string& wire) {
  int count = 0;
  for (size_t at = wire.find("PING"); at != std::string::npos; at = wire.find("PING", at + 1)) ++count;
  return count;
}

class ConnectionTest : public testing::Test {
 protected:
  std::unique_ptr<RedisConnection> Connect(const ScriptedServer& server) {
    options_.endpoints = {{"127.0.0.1", server.port()}};
    return RedisConnection::Open(options_.endpoints[0], options_, nullptr, absl::InfiniteFuture()).value();
  }
  RedisConnection::RunResult Run(RedisConnection& connection, absl::Time deadline = absl::InfiniteFuture()) {
    std::vector<const RedisCommand*> pointers;
    for (const RedisCommand& command : commands_) pointers.push_back(&command);
    return connection.Run(pointers, deadline, [&](size_t, RedisReply reply) {
      replies_.push_back(std::move(reply));
      return replies_.size() < max_replies_;
    });
  }
  RedisClientOptions options_{.timeout = absl::Milliseconds(200)};
  std::vector<RedisCommand> commands_{10, {.args = {"PING"}, .expected_reply_bytes = 100}};
  std::vector<RedisReply> replies_;
  size_t max_replies_ = 1000;
};

TEST_F(ConnectionTest, OwesNoMoreBytesThanAllowed) {
  // The server answers only when the client has stopped sending: two commands of 100 bytes fit into 250.
  options_.max_bytes_in_flight = 250;
  std::atomic<int> most_at_once{0};
  ScriptedServer server([&](ScriptedConnection& connection) {
    while (true) {
      const int count = CountPings(connection.Receive());
      if (count == 0) return;
      most_at_once = std::max<int>(most_at_once, count);
      for (int i = 0; i < count; ++i) connection.Send("+PONG\r\n");
    }
  });
  const auto connection = Connect(server);
  EXPECT_TRUE(Run(*connection).status.ok());
  EXPECT_EQ(replies_.size(), 10);
  EXPECT_LE(most_at_once, 2);
  EXPECT_TRUE(connection->is_usable());
}

TEST_F(ConnectionTest, SilentServerIsLateAndTheConnectionSpent) {
  ScriptedServer server([](ScriptedConnection& connection) {
    connection.Receive();
    connection.Send("+PONG\r\n+PO");
    while (!connection.Receive().empty()) continue;  // what is written may come in pieces
  });
  const auto connection = Connect(server);
  const auto result = Run(*connection);
  EXPECT_TRUE(absl::IsDeadlineExceeded(result.status)) << result.status;
  EXPECT_EQ(result.num_replied, 1);
  EXPECT_EQ(result.num_written, 10) << "who knows what the server did with the rest";
  EXPECT_GE(result.silence, options_.timeout);
  EXPECT_FALSE(connection->is_usable());
}

TEST_F(ConnectionTest, DeadlineHoldsAlsoWhileBytesTrickleIn) {
  ScriptedServer server([](ScriptedConnection& connection) {
    connection.Receive();
    connection.Send("$1000000\r\n");
    while (!connection.Receive().empty()) continue;
  });
  const auto connection = Connect(server);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Run(*connection, absl::Now() + absl::Milliseconds(20)).status));
}

TEST_F(ConnectionTest, BrokenConnectionSaysWhatMayHaveHappened) {
  options_.max_bytes_in_flight = 250;
  ScriptedServer server([](ScriptedConnection& connection) {
    connection.Receive();
    connection.Send("+PONG\r\n");
  });
  const auto connection = Connect(server);
  const auto result = Run(*connection);
  EXPECT_TRUE(absl::IsUnavailable(result.status)) << result.status;
  EXPECT_LT(result.num_written, 10) << "the bound on bytes in flight kept the rest here";
}

TEST_F(ConnectionTest, CallerThatWantsNoMoreEndsTheRun) {
  ScriptedServer server([](ScriptedConnection& connection) {
    connection.Receive();
    connection.Send("+PONG\r\n+PONG\r\n+PONG\r\n");
    while (!connection.Receive().empty()) continue;  // closed on unread bytes, it would be reset
  });
  max_replies_ = 2;
  const auto connection = Connect(server);
  const auto result = Run(*connection);
  EXPECT_TRUE(result.status.ok());
  EXPECT_TRUE(result.is_refused);
  EXPECT_EQ(replies_.size(), 2);
  EXPECT_FALSE(connection->is_usable()) << "replies are still on their way";
}

TEST_F(ConnectionTest, AnswersNobodyAskedForAreNoticed) {
  ScriptedServer server([](ScriptedConnection& connection) {
    connection.Send("+HELLO\r\n");
    connection.Receive();
  });
  const auto connection = Connect(server);
  ASSERT_TRUE(WaitForStream(connection->fd(), false, absl::Now() + absl::Seconds(30)).ok());
  EXPECT_TRUE(connection->IsStale());
}

}  // namespace
}  // namespace cacheclip
