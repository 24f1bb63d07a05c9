// From a server's error reply to a status whose code says what to do, and what the client itself needs to
// know of it: is it a redirection, does it pass by itself. Functions on values; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/redis/redis_options.h"

namespace cacheclip {

// `error` is the reply's text, "WRONGTYPE Operation against …". The mapping is the table in redis_client.h.
absl::Status StatusFromRedisError(std::string_view error);

// The first word of an error; READONLY also where Redis 6 and older wrap what a script's command answered.
std::string_view ErrorCodeOf(std::string_view error);

// LOADING, CLUSTERDOWN, TRYAGAIN, MASTERDOWN, READONLY, BUSY: the command was not executed, the same command
// will do later.
bool PassesByItself(std::string_view error_code);

struct RedisRedirect {
  bool is_ask = false;  // for this command only; else the slot has moved for good
  int slot = 0;
  RedisEndpoint endpoint;  // an empty host means: the node that answered
};
// From "MOVED 3999 127.0.0.1:6381" or "ASK …"; empty when `error` is neither.
std::optional<RedisRedirect> ParseRedirect(std::string_view error);

}  // namespace cacheclip
