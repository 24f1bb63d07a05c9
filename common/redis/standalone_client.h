// RedisClient for servers that are no cluster. Several endpoints are tried in order: a call goes to the first
// one whose circuit breaker lets it, so that a second name for the same server (or a replica that was
// promoted) takes over. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/redis/node_pool.h"
#include "common/redis/redis_client.h"
#include "common/redis/tls_stream.h"

namespace cacheclip {

class StandaloneClient : public RedisClient {
 public:
  StandaloneClient(const RedisClientOptions& options, std::shared_ptr<const TlsContext> tls);

  void Stream(std::span<const RedisCommand> commands, const RedisCallOptions& options,
              const ReplyHandler& on_reply) override;
  absl::StatusOr<std::vector<RedisReply>> ExecuteOnEveryPrimary(const RedisCommand& command,
                                                                const RedisCallOptions& options) override;
  absl::Status Scan(std::string_view pattern, const KeyVisitor& visitor,
                    const RedisCallOptions& options) override;
  std::string address() const override;
  bool is_cluster() const override { return false; }

 private:
  NodePool& Node();  // the first that is not left alone, or the first

  const RedisClientOptions options_;
  std::vector<std::unique_ptr<NodePool>> nodes_;
};

}  // namespace cacheclip
