#include "common/redis/cluster_client.h"

#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/redis/key_slot.h"
#include "common/redis/node_scan.h"
#include "common/redis/reply_status.h"

namespace cacheclip {
namespace {

// Two nodes that send a command to and fro are still agreeing on a slot: from here on it waits in between.
constexpr int kRedirectsAtOnce = 4;

}  // namespace

// What one call learns from round to round.
struct ClusterClient::Round {
  CommandRun& run;
  std::map<size_t, RedisEndpoint> ask_at = {};  // commands to be sent there next, once, after ASKING
  std::map<size_t, int> num_redirects = {};
  bool has_redirect = false;   // in this round: try again at once
  bool needs_refresh = false;  // in this round: the map is out of date or a node is gone
};

ClusterClient::ClusterClient(const RedisClientOptions& options, std::shared_ptr<const TlsContext> tls)
    : options_(options), topology_(options, std::move(tls)) {}

absl::StatusOr<bool> ClusterClient::IsCluster(const RedisClientOptions& options,
                                              std::shared_ptr<const TlsContext> tls, absl::Time deadline) {
  RedisClientOptions probe = options;
  probe.database = 0;  // a cluster refuses any other, which would look like an answer
  absl::Status failure;
  for (const RedisEndpoint& endpoint : options.endpoints) {
    NodePool node(endpoint, probe, tls);
    const auto reply = node.Execute({.args = {"CLUSTER", "INFO"}, .key_index = 0}, deadline);
    if (reply.ok()) return true;
    // "This instance has cluster support disabled", or a server that does not know the command.
    if (!RedisErrorCode(reply.status()).empty() && absl::IsFailedPrecondition(reply.status())) return false;
    failure = reply.status();
  }
  return failure;
}

void ClusterClient::Stream(std::span<const RedisCommand> commands, const RedisCallOptions& options,
                           const ReplyHandler& on_reply) {
  CommandRun run(commands, options, options_, on_reply);
  Round round{.run = run};
  const bool was_unreachable = topology_.is_unreachable();
  absl::Status failure;
  while (!run.is_done()) {
    round.has_redirect = round.needs_refresh = false;
    failure = SendRound(round);
    if (run.is_done()) return;
    if (round.needs_refresh || !failure.ok()) {
      const absl::Status refreshed = topology_.Refresh(options.deadline);
      // A cluster that was known to be gone when the call began, and still is, is not waited for.
      if (!refreshed.ok() && was_unreachable) break;
    }
    if (!round.has_redirect && !run.WaitToRetry()) break;
  }
  run.FailPending(failure);
}

absl::Status ClusterClient::SendRound(Round& round) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::shared_ptr<const SlotMap> slots,
                             topology_.Slots(round.run.deadline()));
  std::map<RedisEndpoint, std::vector<size_t>> plain, asking;
  for (const size_t index : round.run.pending()) {
    const RedisCommand& command = round.run.command(index);
    if (const auto ask = round.ask_at.find(index); ask != round.ask_at.end()) {
      asking[ask->second].push_back(index);
    } else if (command.key_index <= 0 || command.key_index >= static_cast<int>(command.args.size())) {
      plain[slots->primaries().front()].push_back(index);
    } else if (const auto* primary = slots->PrimaryOf(RedisKeySlot(command.args[command.key_index]))) {
      plain[*primary].push_back(index);
    } else {
      round.run.NoteFailure(index, absl::UnavailableError("no node of the cluster serves the key's slot"));
      round.needs_refresh = true;
    }
  }
  round.ask_at.clear();
  absl::Status failure;
  for (const bool is_asking : {false, true})
    for (const auto& [endpoint, indices] : is_asking ? asking : plain) {
      if (round.run.is_done()) return failure;
      failure.Update(SendTo(round, endpoint, indices, is_asking));
    }
  return failure;
}

absl::Status ClusterClient::SendTo(Round& round, const RedisEndpoint& endpoint,
                                   const std::vector<size_t>& indices, bool asking) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::shared_ptr<NodePool> node, topology_.Pool(endpoint));
  const size_t num_pending = round.run.pending().size();
  const absl::Status status =
      round.run.Send(*node, indices, asking, [&](size_t index, const std::string& error) {
        std::optional<RedisRedirect> redirect = ParseRedirect(error);
        if (!redirect || ++round.num_redirects[index] > kMaxRedirects) return false;
        if (redirect->endpoint.host.empty()) redirect->endpoint.host = endpoint.host;
        round.has_redirect |= round.num_redirects[index] <= kRedirectsAtOnce;
        if (redirect->is_ask) {
          round.ask_at[index] = redirect->endpoint;
        } else {
          topology_.NoteMoved(redirect->slot, redirect->endpoint);
          round.needs_refresh = true;
        }
        return true;
      });
  // What is left over without a redirection met CLUSTERDOWN, READONLY and the like.
  if (num_pending - round.run.pending().size() < indices.size()) round.needs_refresh = true;
  return status;
}

absl::StatusOr<std::vector<RedisEndpoint>> ClusterClient::Primaries(absl::Time deadline) {
  topology_.Refresh(deadline).IgnoreError();  // the map that there is will do
  CACHECLIP_ASSIGN_OR_RETURN(const std::shared_ptr<const SlotMap> slots, topology_.Slots(deadline));
  return slots->primaries();
}

absl::StatusOr<std::vector<RedisReply>> ClusterClient::ExecuteOnEveryPrimary(
    const RedisCommand& command, const RedisCallOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<RedisEndpoint> primaries, Primaries(options.deadline));
  std::vector<RedisReply> replies;
  for (const RedisEndpoint& primary : primaries) {
    CACHECLIP_ASSIGN_OR_RETURN(const std::shared_ptr<NodePool> node, topology_.Pool(primary));
    CACHECLIP_ASSIGN_OR_RETURN(RedisReply reply, node->Execute(command, options.deadline));
    replies.push_back(std::move(reply));
  }
  return replies;
}

absl::Status ClusterClient::Scan(std::string_view pattern, const KeyVisitor& visitor,
                                 const RedisCallOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<RedisEndpoint> primaries, Primaries(options.deadline));
  for (const RedisEndpoint& primary : primaries) {
    CACHECLIP_ASSIGN_OR_RETURN(const std::shared_ptr<NodePool> node, topology_.Pool(primary));
    CACHECLIP_ASSIGN_OR_RETURN(const bool goes_on, ScanNode(*node, pattern, visitor, options.deadline));
    if (!goes_on) break;
  }
  return absl::OkStatus();
}

std::string ClusterClient::address() const { return JoinEndpoints(options_.endpoints); }

}  // namespace cacheclip
