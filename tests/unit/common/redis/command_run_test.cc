#include "common/redis/command_run.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>

#include "absl/time/clock.h"
#include "tests/support/scripted_server.h"

namespace cacheclip {
namespace {

class CommandRunTest : public testing::Test {
 protected:
  // One round against a server that answers `answer` to whatever comes and closes the connection.
  CommandRun SendOnce(const std::string& answer, const RedisCallOptions& options) {
    ScriptedServer server([&](ScriptedConnection& connection) {
      connection.Receive();
      connection.Send(answer);
    });
    NodePool node({"127.0.0.1", server.port()}, client_, nullptr);
    CommandRun run(commands_, options, client_, on_reply_);
    const std::vector<size_t> indices = run.pending();
    run.Send(node, indices, /*asking=*/false, [](size_t, const std::string&) { return true; }).IgnoreError();
    return run;
  }
  const std::vector<RedisCommand> commands_{3, {.args = {"GET", "k"}}};
  RedisClientOptions client_;
  std::map<size_t, absl::StatusOr<RedisReply>> replies_;
  const RedisClient::ReplyHandler on_reply_ = [this](size_t index, absl::StatusOr<RedisReply> reply) {
    replies_.emplace(index, std::move(reply));
    return true;
  };
};

TEST_F(CommandRunTest, WhatPassesByItselfStaysPending) {
  const CommandRun run = SendOnce("+1\r\n-LOADING wait\r\n-WRONGTYPE no\r\n", {});
  EXPECT_EQ(run.pending(), std::vector<size_t>{1});
  EXPECT_TRUE(replies_.at(0).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(replies_.at(2).status()));
}

TEST_F(CommandRunTest, LostConnectionLeavesOnlyIdempotentCommandsPending) {
  EXPECT_EQ(SendOnce("+1\r\n", {.is_idempotent = true}).pending(), (std::vector<size_t>{1, 2}));
  replies_.clear();
  EXPECT_TRUE(SendOnce("+1\r\n", {.is_idempotent = false}).pending().empty());
  EXPECT_TRUE(absl::IsUnavailable(replies_.at(1).status()));
  EXPECT_TRUE(absl::IsUnavailable(replies_.at(2).status()));
}

TEST_F(CommandRunTest, RedirectedCommandsStayPending) {
  EXPECT_EQ(SendOnce("+1\r\n-MOVED 1 h:1\r\n-ASK 1 h:1\r\n", {}).pending(), (std::vector<size_t>{1, 2}));
}

TEST_F(CommandRunTest, PendingCommandsGetTheirOwnLastError) {
  CommandRun run = SendOnce("+1\r\n-LOADING wait\r\n+3\r\n", {});
  run.FailPending(absl::InternalError("otherwise"));
  EXPECT_EQ(RedisErrorCode(replies_.at(1).status()), "LOADING");
  EXPECT_TRUE(run.is_done());
}

TEST_F(CommandRunTest, RetriesEndWithTheirTimeAndTheDeadline) {
  CommandRun none(commands_, {.retry_for = absl::ZeroDuration()}, client_, on_reply_);
  EXPECT_FALSE(none.WaitToRetry());
  CommandRun late(commands_, {.deadline = absl::Now(), .retry_for = absl::Hours(1)}, client_, on_reply_);
  EXPECT_FALSE(late.WaitToRetry());
  CommandRun patient(commands_, {.retry_for = absl::Hours(1)}, client_, on_reply_);
  EXPECT_TRUE(patient.WaitToRetry());
}

}  // namespace
}  // namespace cacheclip
