// TokenSelector over gRPC: generation's way to a selector service. Each call's deadline is the earlier of the
// request's own and now + timeout, so a stalled selector costs `timeout` at most. A selector that is down
// fails at once (UNAVAILABLE), never waits for it to come back. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/engine/token_selector.h"
#include "common/rpc/channel.h"

namespace cacheclip {

struct SelectorClientOptions {
  absl::Duration timeout = absl::Seconds(2);  // of one call
  Clock* clock = RealClock();
};

class RpcTokenSelector : public TokenSelector {
 public:
  explicit RpcTokenSelector(SelectorClientOptions options) : options_(options) {}

  // Before the first call, or later to move to another server. Until then Select() answers UNAVAILABLE.
  void Connect(std::shared_ptr<grpc::Channel> channel);

  absl::StatusOr<SelectResult> Select(const SelectRequest& request,
                                      const CancellationToken& cancellation) override;

  // Has the selector make its own KV of these chunks; returns how many it had to encode.
  absl::StatusOr<int> Prepare(const std::string& namespace_name, const std::string& prefix_id,
                              const std::vector<SelectChunk>& chunks, const CancellationToken& cancellation);

 private:
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel();

  const SelectorClientOptions options_;
  std::mutex mutex_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace cacheclip
