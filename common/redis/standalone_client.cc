#include "common/redis/standalone_client.h"

#include <utility>

#include "common/base/status.h"
#include "common/redis/command_run.h"
#include "common/redis/node_scan.h"

namespace cacheclip {

StandaloneClient::StandaloneClient(const RedisClientOptions& options, std::shared_ptr<const TlsContext> tls)
    : options_(options) {
  for (const RedisEndpoint& endpoint : options.endpoints)
    nodes_.push_back(std::make_unique<NodePool>(endpoint, options, tls));
}

NodePool& StandaloneClient::Node() {
  for (const auto& node : nodes_)
    if (!node->is_left_alone()) return *node;
  return *nodes_.front();
}

void StandaloneClient::Stream(std::span<const RedisCommand> commands, const RedisCallOptions& options,
                              const ReplyHandler& on_reply) {
  CommandRun run(commands, options, options_, on_reply);
  const bool was_left_alone = Node().is_left_alone();
  absl::Status failure;
  while (!run.is_done()) {
    const std::vector<size_t> indices = run.pending();
    failure = run.Send(Node(), indices, /*asking=*/false, [](size_t, const std::string&) { return false; });
    if (run.is_done()) return;
    // A node that was known to be dead when the call began is not waited for.
    const bool is_hopeless = was_left_alone && absl::IsUnavailable(failure);
    if (is_hopeless || !run.WaitToRetry()) break;
  }
  run.FailPending(failure);
}

absl::StatusOr<std::vector<RedisReply>> StandaloneClient::ExecuteOnEveryPrimary(
    const RedisCommand& command, const RedisCallOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(RedisReply reply, Execute(command, options));
  std::vector<RedisReply> replies;
  replies.push_back(std::move(reply));
  return replies;
}

absl::Status StandaloneClient::Scan(std::string_view pattern, const KeyVisitor& visitor,
                                    const RedisCallOptions& options) {
  return ScanNode(Node(), pattern, visitor, options.deadline).status();
}

std::string StandaloneClient::address() const { return JoinEndpoints(options_.endpoints); }

}  // namespace cacheclip
