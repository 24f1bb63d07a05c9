// What both clients do with the commands of one call: which still need a reply, what went wrong with them
// last, and how long it is worth trying again. One object per call; belongs to one thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/redis/connection.h"
#include "common/redis/node_pool.h"
#include "common/redis/redis_client.h"

namespace cacheclip {

class CommandRun {
 public:
  CommandRun(std::span<const RedisCommand> commands, const RedisCallOptions& options,
             const RedisClientOptions& client, const RedisClient::ReplyHandler& on_reply);

  const std::vector<size_t>& pending() const { return pending_; }  // ascending
  const RedisCommand& command(size_t index) const { return commands_[index]; }
  absl::Time deadline() const { return options_.deadline; }
  bool is_done() const { return pending_.empty() || is_refused_; }

  // Sends these of the pending commands to the node. Redirections are handed to `on_redirect`, which says
  // whether to keep the command pending; what has a final reply is delivered. Returns how the transport did.
  // With `asking` each command is preceded by ASKING.
  using RedirectHandler = std::function<bool(size_t index, const std::string& error)>;
  absl::Status Send(NodePool& node, std::span<const size_t> indices, bool asking,
                    const RedirectHandler& on_redirect);

  // Whether a pending command was refused because the node is a replica.
  bool MetReplica() const;

  // Whether trying again is allowed now; waits a moment before it says so (longer each time, never beyond the
  // deadline). False: report what is pending with FailPending().
  bool WaitToRetry();
  void FailPending(const absl::Status& otherwise);
  // The last error of a pending command, or of the transport.
  void NoteFailure(size_t index, const absl::Status& status);

 private:
  void Deliver(size_t index, absl::StatusOr<RedisReply> reply);

  const std::span<const RedisCommand> commands_;
  const RedisCallOptions options_;
  const RedisClient::ReplyHandler& on_reply_;
  const absl::Time retry_until_;
  absl::Duration backoff_;
  std::vector<size_t> pending_;
  std::vector<bool> is_delivered_;
  std::vector<absl::Status> last_failures_;
  bool is_refused_ = false;
};

}  // namespace cacheclip
