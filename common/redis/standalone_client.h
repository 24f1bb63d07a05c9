// RedisClient for servers that are no cluster. Several endpoints are tried in order: a call goes to the first
// one whose circuit breaker lets it, so that a second name for the same server (or a replica that was
// promoted) takes over. One that answers READONLY or MASTERDOWN is a replica: this and all later calls begin
// at the next endpoint, and this one is sent there even if that is left alone, as often as its breaker lets a
// probe through: a primary that was only restarted is found again. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
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
  // Index of the first node, from first_ on and around, that is not left alone, or first_.
  size_t Choose() const;
  NodePool& Node() { return *nodes_[Choose()]; }

  const RedisClientOptions options_;
  std::vector<std::unique_ptr<NodePool>> nodes_;
  std::atomic<size_t> first_{0};  // the one that took writes last
};

}  // namespace cacheclip
