#include "common/redis/late_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/redis/cluster_client.h"
#include "common/redis/standalone_client.h"

namespace cacheclip {

LateClient::LateClient(const RedisClientOptions& options, std::shared_ptr<const TlsContext> tls)
    : options_(options),
      tls_(std::move(tls)),
      breaker_({1, options.breaker_backoff, options.max_breaker_backoff, options.clock}) {}

absl::StatusOr<RedisClient*> LateClient::Client(absl::Time deadline) {
  if (RedisClient* const known = known_.load()) return known;
  std::unique_lock lock(mutex_, std::defer_lock);
  // Capped: nobody asks for longer, and a clock of the system has no infinite future.
  const absl::Duration longest =
      static_cast<int>(options_.endpoints.size()) * (options_.connect_timeout + options_.timeout);
  if (!lock.try_lock_until(absl::ToChronoTime(std::min(deadline, absl::Now() + longest))))
    return absl::DeadlineExceededError(
        absl::StrCat("whether Redis at ", address(), " is a cluster is still being asked"));
  if (client_ != nullptr) return client_.get();
  CACHECLIP_ASSIGN_OR_RETURN(const bool is_cluster, AskWhetherCluster(deadline));
  if (is_cluster && options_.database != 0)
    return FieldError(absl::StatusCode::kFailedPrecondition, "database", "a cluster has only database 0");
  if (is_cluster) {
    client_ = std::make_unique<ClusterClient>(options_, tls_);
  } else {
    client_ = std::make_unique<StandaloneClient>(options_, tls_);
  }
  known_ = client_.get();
  return client_.get();
}

absl::StatusOr<bool> LateClient::AskWhetherCluster(absl::Time deadline) {
  CACHECLIP_RETURN_IF_ERROR(breaker_.Enter());
  const absl::Time latest_blame = absl::Now() + options_.connect_timeout;
  const absl::StatusOr<bool> is_cluster = ClusterClient::IsCluster(options_, tls_, deadline);
  if (is_cluster.ok()) {
    breaker_.Succeed();
  } else if (absl::IsDeadlineExceeded(is_cluster.status()) && deadline < latest_blame) {
    breaker_.Withdraw();  // the caller had no time; the server may have been about to answer
  } else {
    breaker_.Fail(is_cluster.status());
  }
  return is_cluster;
}

absl::Status LateClient::Resolve(absl::Time deadline) { return Client(deadline).status(); }

void LateClient::Stream(std::span<const RedisCommand> commands, const RedisCallOptions& options,
                        const ReplyHandler& on_reply) {
  const absl::StatusOr<RedisClient*> client = Client(options.deadline);
  if (client.ok()) return (*client)->Stream(commands, options, on_reply);
  for (size_t i = 0; i < commands.size(); ++i)
    if (!on_reply(i, client.status())) return;
}

absl::StatusOr<std::vector<RedisReply>> LateClient::ExecuteOnEveryPrimary(const RedisCommand& command,
                                                                          const RedisCallOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(RedisClient* const client, Client(options.deadline));
  return client->ExecuteOnEveryPrimary(command, options);
}

absl::Status LateClient::Scan(std::string_view pattern, const KeyVisitor& visitor,
                              const RedisCallOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(RedisClient* const client, Client(options.deadline));
  return client->Scan(pattern, visitor, options);
}

std::string LateClient::address() const {
  return absl::StrJoin(options_.endpoints, ",", [](std::string* out, const RedisEndpoint& endpoint) {
    out->append(endpoint.ToString());
  });
}

bool LateClient::is_cluster() const {
  const RedisClient* const known = known_.load();
  return known != nullptr && known->is_cluster();
}

}  // namespace cacheclip
