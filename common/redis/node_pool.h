// One Redis node: its bounded pool of connections and its circuit breaker. Run() borrows a connection, makes
// a new one while fewer than connections_per_node exist, or waits for one that is given back. Connections
// that are broken, stale or idle for too long are dropped. Thread-safe.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/redis/circuit_breaker.h"
#include "common/redis/connection.h"
#include "common/redis/redis_client.h"
#include "common/redis/redis_options.h"
#include "common/redis/tls_stream.h"

namespace cacheclip {

class NodePool {
 public:
  // `options` and `tls` as for RedisConnection::Open().
  NodePool(RedisEndpoint endpoint, const RedisClientOptions& options, std::shared_ptr<const TlsContext> tls);

  // Pipelines `commands` through one connection; see RedisConnection::Run(). Errors name the endpoint.
  RedisConnection::RunResult Run(std::span<const RedisCommand* const> commands, absl::Time deadline,
                                 const RedisConnection::RawHandler& on_reply);

  // One command, its error reply as a status, no retries.
  absl::StatusOr<RedisReply> Execute(const RedisCommand& command, absl::Time deadline);

  const RedisEndpoint& endpoint() const { return endpoint_; }
  bool is_left_alone() const { return breaker_.is_open(); }

 private:
  struct IdleConnection {
    std::unique_ptr<RedisConnection> connection;
    absl::Time since;
  };
  // Waiting for a free connection longer than this says nothing about the node, but enough to the caller.
  absl::StatusOr<std::unique_ptr<RedisConnection>> Borrow(absl::Time deadline);
  std::unique_ptr<RedisConnection> TakeIdle();  // with mutex_ held; null when there is none of use
  void GiveBack(std::unique_ptr<RedisConnection> connection);
  void Judge(const RedisConnection::RunResult& result);

  const RedisEndpoint endpoint_;
  const RedisClientOptions options_;
  const std::shared_ptr<const TlsContext> tls_;
  CircuitBreaker breaker_;
  std::mutex mutex_;
  std::condition_variable given_back_;
  std::vector<IdleConnection> idle_;  // the one used last at the back
  int num_open_ = 0;                  // idle and lent
};

}  // namespace cacheclip
