// The way to a Redis server or a Redis Cluster; one interface for both, so that callers never see slots,
// redirections or connections. Calls block until the reply is there, an error, or the deadline.
//
//   CACHECLIP_ASSIGN_OR_RETURN(auto client, MakeRedisClient(options));
//   CACHECLIP_ASSIGN_OR_RETURN(RedisReply reply, client->Execute({.args = {"GET", key}}, {.deadline = t}));
//
// Errors are statuses whose code says what to do; RedisErrorCode() gives the server's first word:
//   DEADLINE_EXCEEDED   the deadline passed, or no byte came for RedisClientOptions::timeout
//   UNAVAILABLE         refused, connection lost, LOADING, CLUSTERDOWN, breaker open: try again later
//   RESOURCE_EXHAUSTED  -OOM, too many connections, more bytes than a limit allows
//   UNAUTHENTICATED     NOAUTH, WRONGPASS, a refused certificate      PERMISSION_DENIED  NOPERM
//   FAILED_PRECONDITION any other error reply (WRONGTYPE, an error that a script returned)
//   INTERNAL            bytes that are no Redis protocol
// Thread-safe; each call uses a connection of a bounded pool. No message ever holds a password.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/redis/redis_options.h"
#include "common/redis/redis_reply.h"

namespace cacheclip {

struct RedisCommand {
  std::vector<std::string> args;  // the command's name, then its arguments
  // One more argument at the end that is not copied (a value to store); must outlive the call. Null: none.
  std::string_view payload = {};
  // Which of `args` decides the node of a cluster; 0 = none, any primary will do. (EVALSHA: 3.)
  int key_index = 1;
  // How large the reply may well be: what the bound on bytes in flight counts.
  int64_t expected_reply_bytes = 256;
  // A bulk string reply of exactly this size is written here and its size reported as sink_bytes; of another
  // size, it comes as text as usual. Must outlive the call. Empty: none.
  std::span<std::byte> sink = {};
};

struct RedisCallOptions {
  absl::Time deadline = absl::InfiniteFuture();
  // Whether the commands may be sent again after a connection broke when the server may have executed them
  // already. A command that was surely not executed is always sent again.
  bool is_idempotent = false;
  // How long what passes by itself (a failover, LOADING, TRYAGAIN, a lost connection) is tried again before
  // the error is reported; never beyond the deadline. Negative: RedisClientOptions::retry_for.
  absl::Duration retry_for = absl::Seconds(-1);
};

// A Lua script; sent by hash, and in full when the server does not know it. Make it once, use it often.
struct RedisScript {
  explicit RedisScript(std::string source);
  std::string source;
  std::string sha1;  // hexadecimal
};

class RedisClient {
 public:
  virtual ~RedisClient() = default;

  // Called once per command, on the caller's thread, as replies come in: in the order of the commands as long
  // as they go to one node and none is redirected. False: no further replies are wanted, the rest is dropped.
  using ReplyHandler = std::function<bool(size_t index, absl::StatusOr<RedisReply> reply)>;
  // Sends everything without waiting in between, bytes in flight bounded by max_bytes_in_flight. Not atomic.
  virtual void Stream(std::span<const RedisCommand> commands, const RedisCallOptions& options,
                      const ReplyHandler& on_reply) = 0;

  // The replies in the order of the commands.
  std::vector<absl::StatusOr<RedisReply>> Pipeline(std::span<const RedisCommand> commands,
                                                   const RedisCallOptions& options = {});
  absl::StatusOr<RedisReply> Execute(const RedisCommand& command, const RedisCallOptions& options = {});

  // EVALSHA, then EVAL when the server answers NOSCRIPT. keys[0] decides the node; all must share its slot.
  absl::StatusOr<RedisReply> RunScript(const RedisScript& script, std::span<const std::string> keys,
                                       std::span<const std::string> args,
                                       const RedisCallOptions& options = {});

  // The same command on every primary; one reply per primary. For CONFIG GET, INFO, SCRIPT FLUSH.
  virtual absl::StatusOr<std::vector<RedisReply>> ExecuteOnEveryPrimary(const RedisCommand& command,
                                                                        const RedisCallOptions& options) = 0;

  // Visits every key that matches `pattern` on every primary, some maybe twice, by SCAN. The visitor may call
  // this client. False from the visitor ends the scan.
  using KeyVisitor = std::function<bool(const std::string& key)>;
  virtual absl::Status Scan(std::string_view pattern, const KeyVisitor& visitor,
                            const RedisCallOptions& options = {}) = 0;

  virtual std::string address() const = 0;  // "host:port" or "host:port,…", for messages
  virtual bool is_cluster() const = 0;
};

// INVALID_ARGUMENT naming the field for options that cannot be used; errors reading the files they name. Does
// not need a server: kAuto asks one, and asks again at each call as long as none answers.
absl::StatusOr<std::unique_ptr<RedisClient>> MakeRedisClient(const RedisClientOptions& options);

// The first word of the server's error reply ("NOSCRIPT", "WRONGTYPE", what a script returned with
// redis.error_reply), or "" when the status does not come from an error reply.
std::string RedisErrorCode(const absl::Status& status);

}  // namespace cacheclip
