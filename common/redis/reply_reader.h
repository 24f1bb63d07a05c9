// Makes replies of the bytes that a server sends. Parsing is hiredis' (any version from 0.14); a bulk string
// that has a place to go (RedisCommand::sink) is received straight into it, without a copy in between.
//
//   read up to reader.Space(sink).size() bytes into reader.Space(sink); reader.Commit(n);
//   while (reply = reader.Next(sink of the command whose turn it is)) …
//
// Bounded: kMaxBufferedReplyBytes for what has come of one reply. Belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/redis/redis_client.h"

struct redisReader;

namespace cacheclip {

inline constexpr int64_t kMaxBufferedReplyBytes = int64_t{64} << 20;

class ReplyReader {
 public:
  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  // Where the next bytes from the server belong; never empty. Valid until the next call of Commit() or
  // Next().
  std::span<std::byte> Space();
  void Commit(size_t num_bytes);

  // The next whole reply, nothing when bytes are missing. INTERNAL: no Redis protocol. RESOURCE_EXHAUSTED:
  // too large. After an error the reader is of no use. `sink` must be the same until its reply is there.
  absl::StatusOr<std::optional<RedisReply>> Next(std::span<std::byte> sink);

 private:
  enum class BulkStart { kStarted, kNeedsMore, kIsOther };
  BulkStart StartBulk(std::span<std::byte> sink);
  absl::StatusOr<std::optional<RedisReply>> FinishBulk();
  absl::StatusOr<std::optional<RedisReply>> Parse(std::span<std::byte> sink);
  void Consume(size_t num_bytes);
  std::string_view unread() const { return {scratch_.data() + begin_, end_ - begin_}; }

  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
  int64_t fed_bytes_ = 0;  // given to hiredis since it was last empty
  std::vector<char> scratch_;
  size_t begin_ = 0, end_ = 0;  // of what is in scratch_
  std::span<std::byte> bulk_;   // being received
  size_t bulk_filled_ = 0;
};

// The command as bytes on the wire. With `payload`, everything up to it: the payload and "\r\n" follow.
std::string FormatRedisCommand(const RedisCommand& command);

}  // namespace cacheclip
