#include "common/redis/redis_client.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

RedisReply Text(std::string text) { return {.type = RedisReply::Type::kString, .text = std::move(text)}; }

class RedisClientTest : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    server_ = std::make_unique<RedisServer>();
    client_ = MakeRedisClient(server_->client_options()).value();
  }
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<RedisClient> client_;
};

TEST_F(RedisClientTest, AnswersOfEveryKind) {
  EXPECT_EQ(client_->Execute({.args = {"SET", "k", "v\r\n\0w"}})->text, "OK");
  EXPECT_TRUE(client_->Execute({.args = {"GET", "k"}})->is_text());
  EXPECT_TRUE(client_->Execute({.args = {"GET", "absent"}})->is_nil());
  EXPECT_EQ(client_->Execute({.args = {"INCRBY", "n", "-5"}})->integer, -5);
  EXPECT_EQ(client_->Execute({.args = {"MGET", "n", "absent"}})->elements,
            (std::vector{Text("-5"), RedisReply{}}));
  const auto wrong = client_->Execute({.args = {"LPUSH", "n", "x"}});
  EXPECT_TRUE(absl::IsFailedPrecondition(wrong.status()));
  EXPECT_EQ(RedisErrorCode(wrong.status()), "WRONGTYPE");
}

TEST_F(RedisClientTest, PipelineKeepsTheOrderAndOneErrorSpoilsNothing) {
  std::vector<RedisCommand> commands;
  for (int i = 0; i < 500; ++i)
    commands.push_back({.args = {"SET", "key" + std::to_string(i), std::to_string(i)}});
  commands.push_back({.args = {"INCR", "key1", "too many"}});
  for (int i = 0; i < 500; ++i) commands.push_back({.args = {"GET", "key" + std::to_string(i)}});
  const auto replies = client_->Pipeline(commands);
  EXPECT_FALSE(replies[500].ok());
  for (int i = 0; i < 500; ++i) ASSERT_EQ(*replies[501 + i], Text(std::to_string(i)));
}

TEST_F(RedisClientTest, LargeValuesGoBothWaysWithBoundedBytesInFlight) {
  constexpr size_t kValueBytes = 1 << 20, kNumValues = 40;
  RedisClientOptions options = server_->client_options();
  options.max_bytes_in_flight = 2 << 20;
  const auto client = MakeRedisClient(options).value();
  std::vector<std::string> values;
  std::vector<RedisCommand> puts, gets;
  std::vector<std::vector<std::byte>> received(kNumValues, std::vector<std::byte>(kValueBytes));
  for (size_t i = 0; i < kNumValues; ++i) {
    values.push_back(std::string(kValueBytes, static_cast<char>('a' + i % 26)));
    values.back()[i] = '\n';
  }
  for (size_t i = 0; i < kNumValues; ++i) {
    const std::string key = "value" + std::to_string(i);
    puts.push_back({.args = {"PSETEX", key, "60000"}, .payload = values[i]});
    gets.push_back({.args = {"GET", key}, .expected_reply_bytes = kValueBytes, .sink = received[i]});
  }
  for (const auto& reply : client->Pipeline(puts)) ASSERT_EQ(reply->text, "OK");
  const auto replies = client->Pipeline(gets);
  for (size_t i = 0; i < kNumValues; ++i) {
    ASSERT_EQ(replies[i]->sink_bytes, kValueBytes);
    EXPECT_EQ(std::memcmp(received[i].data(), values[i].data(), kValueBytes), 0) << i;
  }
}

TEST_F(RedisClientTest, SinkOfAnotherSizeIsLeftAlone) {
  std::vector<std::byte> sink(4);
  client_->Execute({.args = {"SET", "k", "12345"}}).IgnoreError();
  const std::vector<RedisCommand> commands = {{.args = {"GET", "k"}, .sink = sink},
                                              {.args = {"GET", "absent"}, .sink = sink},
                                              {.args = {"GETRANGE", "k", "0", "3"}, .sink = sink}};
  const auto replies = client_->Pipeline(commands);
  EXPECT_EQ(*replies[0], Text("12345"));
  EXPECT_TRUE(replies[1]->is_nil());
  EXPECT_EQ(replies[2]->sink_bytes, 4);
  EXPECT_EQ(sink[3], std::byte{'4'});
}

TEST_F(RedisClientTest, ReaderThatWantsNoMoreGetsNoMore) {
  std::vector<RedisCommand> commands(100, {.args = {"PING"}, .key_index = 0});
  int num_replies = 0;
  client_->Stream(commands, {},
                  [&](size_t, const absl::StatusOr<RedisReply>&) { return ++num_replies < 10; });
  EXPECT_EQ(num_replies, 10);
  EXPECT_EQ(client_->Execute({.args = {"PING"}, .key_index = 0})->text, "PONG");
}

TEST_F(RedisClientTest, ScriptIsSentInFullOnlyWhenTheServerDoesNotKnowIt) {
  const RedisScript script("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}");
  const std::vector<std::string> keys = {"{a}n"}, args = {"x"};
  for (int64_t run = 1; run <= 3; ++run) {
    if (run == 3)
      client_->ExecuteOnEveryPrimary({.args = {"SCRIPT", "FLUSH"}, .key_index = 0}, {}).IgnoreError();
    const auto reply = client_->RunScript(script, keys, args);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->elements[0].text, "{a}n");
    EXPECT_EQ(reply->elements[2].integer, run);
  }
  const RedisScript failing("return redis.error_reply('NOTHERE no such thing')");
  EXPECT_EQ(RedisErrorCode(client_->RunScript(failing, keys, args).status()), "NOTHERE");
}

TEST_F(RedisClientTest, ScanVisitsEveryKeyThatMatches) {
  for (int i = 0; i < 2000; ++i)
    client_->Execute({.args = {"SET", "scan:" + std::to_string(i), "x"}}).IgnoreError();
  client_->Execute({.args = {"SET", "other", "x"}}).IgnoreError();
  std::set<std::string> keys;
  ASSERT_TRUE(client_
                  ->Scan("scan:*",
                         [&](const std::string& key) {
                           keys.insert(key);
                           return true;
                         })
                  .ok());
  EXPECT_EQ(keys.size(), 2000);
}

TEST_F(RedisClientTest, OptionsThatCannotBeUsedAreRefused) {
  RedisClientOptions options = server_->client_options();
  options.connections_per_node = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(MakeRedisClient(options).status()));
}

}  // namespace
}  // namespace cacheclip
