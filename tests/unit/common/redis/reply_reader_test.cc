#include "common/redis/reply_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace cacheclip {
namespace {

// Gives `wire` to a reader in blocks of `block_bytes` and returns what comes out; sinks[i] is that of reply
// i.
absl::StatusOr<std::vector<RedisReply>> ReadAll(std::string_view wire, size_t block_bytes,
                                                std::vector<std::span<std::byte>> sinks = {}) {
  ReplyReader reader;
  std::vector<RedisReply> replies;
  while (!wire.empty()) {
    const auto space = reader.Space();
    const size_t count = std::min({block_bytes, wire.size(), space.size()});
    std::memcpy(space.data(), wire.data(), count);
    wire.remove_prefix(count);
    reader.Commit(count);
    while (true) {
      const auto sink = replies.size() < sinks.size() ? sinks[replies.size()] : std::span<std::byte>();
      auto reply = reader.Next(sink);
      if (!reply.ok()) return reply.status();
      if (!reply->has_value()) break;
      replies.push_back(**std::move(reply));
    }
  }
  return replies;
}

TEST(ReplyReader, ReadsRepliesHoweverTheyAreCut) {
  const std::string wire = "+OK\r\n:-7\r\n$5\r\nhe\r\no\r\n$-1\r\n*2\r\n$1\r\na\r\n*1\r\n:1\r\n-ERR no\r\n";
  const auto whole = ReadAll(wire, wire.size());
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_EQ(whole->size(), 6);
  EXPECT_EQ((*whole)[1].integer, -7);
  EXPECT_EQ((*whole)[2].text, "he\r\no");
  EXPECT_TRUE((*whole)[3].is_nil());
  EXPECT_EQ((*whole)[4].elements[1].elements[0].integer, 1);
  EXPECT_EQ((*whole)[5].type, RedisReply::Type::kError);
  for (size_t block = 1; block < wire.size(); ++block) EXPECT_EQ(*ReadAll(wire, block), *whole) << block;
}

TEST(ReplyReader, SinksAreFilledHoweverTheReplyIsCutAndMixed) {
  std::string value(40'000, 'v');
  value[0] = 'a', value.back() = 'z';
  const std::string bulk = "$40000\r\n" + value + "\r\n";
  const std::string wire = bulk + "+OK\r\n" + bulk + bulk + "$2\r\nno\r\n" + bulk;
  for (const size_t block : {size_t{1}, size_t{7}, size_t{16'384}, size_t{39'999}, wire.size()}) {
    std::vector<std::vector<std::byte>> buffers(6, std::vector<std::byte>(40'000));
    std::vector<std::span<std::byte>> sinks(buffers.begin(), buffers.end());
    sinks[1] = {};
    const auto replies = ReadAll(wire, block, sinks);
    ASSERT_TRUE(replies.ok()) << replies.status();
    ASSERT_EQ(replies->size(), 6) << block;
    EXPECT_EQ((*replies)[4].text, "no");
    for (const int i : {0, 2, 3, 5}) {
      EXPECT_EQ((*replies)[i].sink_bytes, 40'000) << i;
      EXPECT_EQ(std::memcmp(buffers[i].data(), value.data(), value.size()), 0) << i;
    }
  }
}

TEST(ReplyReader, WhatIsNoRedisIsAnError) {
  std::vector<std::byte> buffer(3);
  EXPECT_TRUE(absl::IsInternal(ReadAll("HTTP/1.1 400 Bad Request\r\n\r\n", 100).status()));
  EXPECT_TRUE(absl::IsInternal(ReadAll("$3\r\nabcde", 100, {buffer}).status())) << "no line end after a bulk";
}

TEST(ReplyReader, HugeRepliesAreRefusedBeforeTheyAreHeld) {
  const std::string wire = "$100000000\r\n" + std::string(kMaxBufferedReplyBytes, 'x');
  EXPECT_TRUE(absl::IsResourceExhausted(ReadAll(wire, 1 << 20).status()));
}

TEST(ReplyReader, CommandsAreFramedByLength) {
  EXPECT_EQ(FormatRedisCommand({.args = {"SET", "a b", ""}}), "*3\r\n$3\r\nSET\r\n$3\r\na b\r\n$0\r\n\r\n");
  EXPECT_EQ(FormatRedisCommand({.args = {"SET", "k"}, .payload = "xyz"}),
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n");
}

}  // namespace
}  // namespace cacheclip
