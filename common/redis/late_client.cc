#include "common/redis/late_client.h"

#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/redis/cluster_client.h"
#include "common/redis/standalone_client.h"

namespace cacheclip {

LateClient::LateClient(const RedisClientOptions& options, std::shared_ptr<const TlsContext> tls)
    : options_(options),
      tls_(std::move(tls)),
      breaker_({1, options.breaker_backoff, options.max_breaker_backoff, options.clock}) {}

absl::StatusOr<RedisClient*> LateClient::Client() {
  std::lock_guard lock(mutex_);
  if (client_ != nullptr) return client_.get();
  CACHECLIP_RETURN_IF_ERROR(breaker_.Enter());
  const absl::StatusOr<bool> is_cluster = ClusterClient::IsCluster(options_, tls_);
  if (!is_cluster.ok()) {
    breaker_.Fail(is_cluster.status());
    return is_cluster.status();
  }
  breaker_.Succeed();
  if (*is_cluster && options_.database != 0)
    return FieldError(absl::StatusCode::kFailedPrecondition, "database", "a cluster has only database 0");
  if (*is_cluster) {
    client_ = std::make_unique<ClusterClient>(options_, tls_);
  } else {
    client_ = std::make_unique<StandaloneClient>(options_, tls_);
  }
  return client_.get();
}

absl::Status LateClient::Resolve() { return Client().status(); }

void LateClient::Stream(std::span<const RedisCommand> commands, const RedisCallOptions& options,
                        const ReplyHandler& on_reply) {
  const absl::StatusOr<RedisClient*> client = Client();
  if (client.ok()) return (*client)->Stream(commands, options, on_reply);
  for (size_t i = 0; i < commands.size(); ++i)
    if (!on_reply(i, client.status())) return;
}

absl::StatusOr<std::vector<RedisReply>> LateClient::ExecuteOnEveryPrimary(const RedisCommand& command,
                                                                          const RedisCallOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(RedisClient* const client, Client());
  return client->ExecuteOnEveryPrimary(command, options);
}

absl::Status LateClient::Scan(std::string_view pattern, const KeyVisitor& visitor,
                              const RedisCallOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(RedisClient* const client, Client());
  return client->Scan(pattern, visitor, options);
}

std::string LateClient::address() const {
  return absl::StrJoin(options_.endpoints, ",", [](std::string* out, const RedisEndpoint& endpoint) {
    out->append(endpoint.ToString());
  });
}

bool LateClient::is_cluster() const {
  std::lock_guard lock(mutex_);
  return client_ != nullptr && client_->is_cluster();
}

}  // namespace cacheclip
