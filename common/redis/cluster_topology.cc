#include "common/redis/cluster_topology.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/redis/node_scan.h"

namespace cacheclip {
namespace {

// A node that hangs must not keep the others from being asked.
constexpr absl::Duration kMaxAskingTime = absl::Seconds(1);

}  // namespace

ClusterTopology::ClusterTopology(const RedisClientOptions& options, std::shared_ptr<const TlsContext> tls)
    : options_(options), tls_(std::move(tls)) {}

absl::StatusOr<std::shared_ptr<const SlotMap>> ClusterTopology::Slots(absl::Time deadline) {
  {
    std::lock_guard lock(mutex_);
    if (slots_ != nullptr) return slots_;
  }
  CACHECLIP_RETURN_IF_ERROR(Refresh(deadline));
  std::lock_guard lock(mutex_);
  return slots_;
}

absl::Status ClusterTopology::Refresh(absl::Time deadline) {
  std::unique_lock lock(mutex_);
  const auto is_over = [&] { return !is_refreshing_; };
  if (is_refreshing_) {
    if (!refreshed_.wait_until(lock, absl::ToChronoTime(std::min(deadline, absl::Now() + absl::Hours(1))),
                               is_over))
      return absl::DeadlineExceededError("the nodes of the cluster were not found in time");
    return last_result_;
  }
  if (absl::Now() - last_refresh_ < kMinRefreshInterval) return last_result_;
  is_refreshing_ = true;
  const std::vector<RedisEndpoint> candidates = Candidates();
  lock.unlock();
  absl::StatusOr<SlotMap> map = AskForSlots(candidates, deadline);
  lock.lock();
  if (map.ok()) Install(*std::move(map));
  last_result_ = map.status();
  last_refresh_ = absl::Now();
  is_refreshing_ = false;
  refreshed_.notify_all();
  return last_result_;
}

std::vector<RedisEndpoint> ClusterTopology::Candidates() const {
  std::vector<RedisEndpoint> candidates;
  if (slots_ != nullptr) candidates = slots_->primaries();
  for (const RedisEndpoint& endpoint : options_.endpoints)
    if (std::ranges::find(candidates, endpoint) == candidates.end()) candidates.push_back(endpoint);
  return candidates;
}

absl::StatusOr<SlotMap> ClusterTopology::AskForSlots(const std::vector<RedisEndpoint>& candidates,
                                                     absl::Time deadline) {
  static const RedisCommand kClusterSlots{.args = {"CLUSTER", "SLOTS"}, .key_index = 0};
  absl::Status failure;
  for (const RedisEndpoint& candidate : candidates) {
    CACHECLIP_ASSIGN_OR_RETURN(const std::shared_ptr<NodePool> pool, Pool(candidate));
    const auto reply = pool->Execute(kClusterSlots, std::min(deadline, absl::Now() + kMaxAskingTime));
    absl::StatusOr<SlotMap> map =
        reply.ok() ? SlotMap::FromClusterSlots(*reply, candidate) : absl::StatusOr<SlotMap>(reply.status());
    if (map.ok()) return map;
    failure = map.status();
    if (absl::Now() >= deadline) break;
  }
  return WithContext(failure, absl::StrCat("no node of the cluster ", JoinEndpoints(options_.endpoints),
                                           " says where the slots are"));
}

void ClusterTopology::Install(SlotMap map) {
  slots_ = std::make_shared<const SlotMap>(std::move(map));
  const std::vector<RedisEndpoint> wanted = Candidates();
  std::erase_if(pools_,
                [&](const auto& entry) { return std::ranges::find(wanted, entry.first) == wanted.end(); });
}

bool ClusterTopology::is_unreachable() const {
  std::lock_guard lock(mutex_);
  return !last_result_.ok();
}

void ClusterTopology::NoteMoved(int slot, const RedisEndpoint& endpoint) {
  std::lock_guard lock(mutex_);
  if (slots_ == nullptr) return;
  auto changed = std::make_shared<SlotMap>(*slots_);
  changed->Assign(slot, endpoint);
  slots_ = std::move(changed);
}

absl::StatusOr<std::shared_ptr<NodePool>> ClusterTopology::Pool(const RedisEndpoint& endpoint) {
  std::lock_guard lock(mutex_);
  auto& pool = pools_[endpoint];
  if (pool == nullptr) {
    if (pools_.size() > 2 * kMaxClusterPrimaries) {
      pools_.erase(endpoint);
      return absl::ResourceExhaustedError("the cluster names too many nodes");
    }
    pool = std::make_shared<NodePool>(endpoint, options_, tls_);
  }
  return pool;
}

}  // namespace cacheclip
