// What a Redis server answered, as a value. An error reply is never one of these at the top level: it becomes
// an absl::Status (common/redis/reply_status.h); inside an array it stays a kError. Bounded by the parser:
// strings by Redis' own 512 MiB, nesting by hiredis' seven levels. Thread-safe: values only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cacheclip {

struct RedisReply {
  enum class Type { kNil, kInteger, kString, kStatus, kArray, kError };
  Type type = Type::kNil;
  int64_t integer = 0;
  std::string text;                  // kString, kStatus ("OK") and kError
  std::vector<RedisReply> elements;  // kArray
  int64_t sink_bytes = -1;           // a kString that went to RedisCommand::sink instead of `text`: its size

  bool is_nil() const { return type == Type::kNil; }
  bool is_integer() const { return type == Type::kInteger; }
  bool is_text() const { return type == Type::kString || type == Type::kStatus; }
  bool is_array() const { return type == Type::kArray; }
  friend bool operator==(const RedisReply&, const RedisReply&) = default;
};

}  // namespace cacheclip
