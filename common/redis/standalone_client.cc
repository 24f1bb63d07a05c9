#include "common/redis/standalone_client.h"

#include <optional>
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

size_t StandaloneClient::Choose() const {
  const size_t first = first_;
  for (size_t i = 0; i < nodes_.size(); ++i)
    if (const size_t index = (first + i) % nodes_.size(); !nodes_[index]->is_left_alone()) return index;
  return first;
}

void StandaloneClient::Stream(std::span<const RedisCommand> commands, const RedisCallOptions& options,
                              const ReplyHandler& on_reply) {
  CommandRun run(commands, options, options_, on_reply);
  const bool was_left_alone = Node().is_left_alone();
  size_t num_moves_left = nodes_.size() - 1;
  std::optional<size_t> next;  // behind a replica; also one left alone, which may be a primary that is back
  absl::Status failure;
  while (!run.is_done()) {
    const std::vector<size_t> indices = run.pending();
    const size_t index = next.has_value() ? *next : Choose();
    const bool is_probe = next.has_value() && nodes_[index]->is_left_alone();
    failure =
        run.Send(*nodes_[index], indices, /*asking=*/false, [](size_t, const std::string&) { return false; });
    if (run.is_done()) return;
    next.reset();
    if (run.MetReplica()) first_ = *(next = (index + 1) % nodes_.size());
    if (next.has_value() || is_probe) {
      if (num_moves_left-- > 0) continue;  // at once: the command was not executed
      num_moves_left = nodes_.size() - 1;  // none takes writes now: once around again after a pause
    }
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
