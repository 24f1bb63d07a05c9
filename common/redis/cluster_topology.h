// The nodes of a Redis Cluster as a client knows them: the slot map, a pool of connections for each node, and
// how both are brought up to date. Refreshing asks the nodes known so far, then the configured endpoints, is
// done by one thread while the others wait for it, and at most once per kMinRefreshInterval. Thread-safe.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/redis/node_pool.h"
#include "common/redis/redis_options.h"
#include "common/redis/slot_map.h"
#include "common/redis/tls_stream.h"

namespace cacheclip {

class ClusterTopology {
 public:
  static constexpr absl::Duration kMinRefreshInterval = absl::Milliseconds(100);

  ClusterTopology(const RedisClientOptions& options, std::shared_ptr<const TlsContext> tls);

  // The current map; fetched first if there is none. UNAVAILABLE when no node answers.
  absl::StatusOr<std::shared_ptr<const SlotMap>> Slots(absl::Time deadline);

  // Brings the map up to date unless that has just been done. The error of the last attempt.
  absl::Status Refresh(absl::Time deadline);
  // No node answered when last asked.
  bool is_unreachable() const;

  // After a MOVED: right for this slot at once; the rest follows with the next Refresh().
  void NoteMoved(int slot, const RedisEndpoint& endpoint);

  // Shared, since a node may leave the cluster while a call uses it. RESOURCE_EXHAUSTED: too many nodes.
  absl::StatusOr<std::shared_ptr<NodePool>> Pool(const RedisEndpoint& endpoint);

 private:
  std::vector<RedisEndpoint> Candidates() const;  // with mutex_ held
  absl::StatusOr<SlotMap> AskForSlots(const std::vector<RedisEndpoint>& candidates, absl::Time deadline);
  void Install(SlotMap map);  // with mutex_ held

  const RedisClientOptions options_;
  const std::shared_ptr<const TlsContext> tls_;
  mutable std::mutex mutex_;
  std::condition_variable refreshed_;
  std::shared_ptr<const SlotMap> slots_;
  std::map<RedisEndpoint, std::shared_ptr<NodePool>> pools_;
  bool is_refreshing_ = false;
  absl::Time last_refresh_ = absl::InfinitePast();
  absl::Status last_result_;
};

}  // namespace cacheclip
