// RedisClient for a Redis Cluster. Commands go to the primary of their key's slot, those of one node in one
// pipeline; redirections (at most kMaxRedirects per command), a failover and a slot on its way are followed
// until the call's retry time is over. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/redis/cluster_topology.h"
#include "common/redis/command_run.h"
#include "common/redis/redis_client.h"

namespace cacheclip {

class ClusterClient : public RedisClient {
 public:
  static constexpr int kMaxRedirects = 16;

  ClusterClient(const RedisClientOptions& options, std::shared_ptr<const TlsContext> tls);

  // Whether the endpoints belong to a cluster. UNAVAILABLE and the like when they cannot be asked.
  static absl::StatusOr<bool> IsCluster(const RedisClientOptions& options,
                                        std::shared_ptr<const TlsContext> tls, absl::Time deadline);

  void Stream(std::span<const RedisCommand> commands, const RedisCallOptions& options,
              const ReplyHandler& on_reply) override;
  absl::StatusOr<std::vector<RedisReply>> ExecuteOnEveryPrimary(const RedisCommand& command,
                                                                const RedisCallOptions& options) override;
  absl::Status Scan(std::string_view pattern, const KeyVisitor& visitor,
                    const RedisCallOptions& options) override;
  std::string address() const override;
  bool is_cluster() const override { return true; }

 private:
  struct Round;
  absl::Status SendRound(Round& round);
  absl::Status SendTo(Round& round, const RedisEndpoint& endpoint, const std::vector<size_t>& indices,
                      bool asking);
  absl::StatusOr<std::vector<RedisEndpoint>> Primaries(absl::Time deadline);

  const RedisClientOptions options_;
  ClusterTopology topology_;
};

}  // namespace cacheclip
