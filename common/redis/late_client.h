// A client that learns at its first successful call whether its servers are a cluster, so that a program can
// start while its Redis is down. Until then calls answer what the question answered (UNAVAILABLE, …); a
// breaker keeps them from asking again and again. One caller asks, by its own deadline; the others wait for
// the answer, each no longer than its own. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "absl/time/time.h"
#include "common/redis/circuit_breaker.h"
#include "common/redis/redis_client.h"
#include "common/redis/tls_stream.h"

namespace cacheclip {

class LateClient : public RedisClient {
 public:
  LateClient(const RedisClientOptions& options, std::shared_ptr<const TlsContext> tls);

  // Asks, if that has not been answered yet. FAILED_PRECONDITION naming "database" for a cluster with one.
  absl::Status Resolve(absl::Time deadline = absl::InfiniteFuture());

  void Stream(std::span<const RedisCommand> commands, const RedisCallOptions& options,
              const ReplyHandler& on_reply) override;
  absl::StatusOr<std::vector<RedisReply>> ExecuteOnEveryPrimary(const RedisCommand& command,
                                                                const RedisCallOptions& options) override;
  absl::Status Scan(std::string_view pattern, const KeyVisitor& visitor,
                    const RedisCallOptions& options) override;
  std::string address() const override;
  bool is_cluster() const override;  // false until known

 private:
  absl::StatusOr<RedisClient*> Client(absl::Time deadline);
  absl::StatusOr<bool> AskWhetherCluster(absl::Time deadline);

  const RedisClientOptions options_;
  const std::shared_ptr<const TlsContext> tls_;
  CircuitBreaker breaker_;
  std::timed_mutex mutex_;                    // held while asking: others wait for the answer
  std::unique_ptr<RedisClient> client_;       // set once, then …
  std::atomic<RedisClient*> known_{nullptr};  // … what everybody uses
};

}  // namespace cacheclip
