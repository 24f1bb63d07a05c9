// The documents of one job on Redis, shared by its workers. A worker holds an item by a lease that it renews;
// when it dies, the lease runs out and the item goes to another. Finished items are remembered, so a job that
// was stopped goes on where it was, and running a finished job again does nothing until it is reset or its
// identity is another: then it starts anew. A job that is under way is never mixed with another of its name.
//
//   cc:job:{<name>}:state    hash: identity, total, next, done, failed
//   cc:job:{<name>}:leases   sorted set: item -> when its lease runs out (server time, milliseconds)
//   cc:job:{<name>}:failures hash: item -> reason; at most kMaxKeptFailures
//
// All keys expire kJobTtl after the last step. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/redis/redis_client.h"
#include "services/cacheclip/preload/work_queue.h"

namespace cacheclip {

struct RedisWorkQueueOptions {
  std::shared_ptr<RedisClient> client;
  std::string job;                           // 1…128 characters of [A-Za-z0-9._-]
  std::string identity;                      // job_identity.h: workers of a job must agree
  int64_t total = 0;                         // items
  absl::Duration lease = absl::Seconds(60);  // until a silent worker's item goes to another
  bool reset = false;                        // forget what was done before
};

class RedisWorkQueue : public WorkQueue {
 public:
  static constexpr absl::Duration kJobTtl = absl::Hours(24 * 14);
  static constexpr int kMaxKeptFailures = 1000;

  // INVALID_ARGUMENT naming "job"; FAILED_PRECONDITION when a job of this name but another identity is not
  // over. Later calls: FAILED_PRECONDITION when the job was reset under this worker to another identity.
  static absl::StatusOr<std::unique_ptr<RedisWorkQueue>> Open(RedisWorkQueueOptions options);

  absl::StatusOr<Claim> Next() override;
  absl::Status KeepAlive(int64_t index) override { return SetLease(index, options_.lease); }
  absl::Status GiveBack(int64_t index) override { return SetLease(index, absl::ZeroDuration()); }
  absl::Status Finish(int64_t index, std::string_view failure) override;
  absl::StatusOr<JobState> State() override;

 private:
  explicit RedisWorkQueue(RedisWorkQueueOptions options);
  absl::Status SetLease(int64_t index, absl::Duration lease);
  absl::Status OtherJob() const;
  absl::StatusOr<RedisReply> Run(const RedisScript& script, const std::vector<std::string>& args) const;

  const RedisWorkQueueOptions options_;
  const std::vector<std::string> keys_;  // state, leases, failures
};

}  // namespace cacheclip
