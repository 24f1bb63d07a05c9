// The requests under way, by id: refuses an id that is running already and passes Abort() on to the request's
// cancellation token. A registration lasts as long as the object that Register() returns.
// Thread-safe. A registration must not outlive its table.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"

namespace cacheclip {

class RunningRequests {
 public:
  class Registration {
   public:
    ~Registration();
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;
    const std::string& request_id() const { return request_id_; }
    // Cancelled by the caller, by Abort() or by the deadline.
    const CancellationToken& cancellation() const { return cancellation_; }
    bool was_aborted() const { return *aborted_; }

   private:
    friend class RunningRequests;
    Registration(RunningRequests* table, std::string request_id, std::shared_ptr<std::atomic<bool>> aborted,
                 CancellationToken cancellation);
    RunningRequests* table_;
    std::string request_id_;
    std::shared_ptr<std::atomic<bool>> aborted_;
    CancellationToken cancellation_;
  };

  // `clock` must outlive the table.
  explicit RunningRequests(Clock* clock);

  // ALREADY_EXISTS (field "request_id") if a request of that id runs. An empty id is replaced by a new one. A
  // caller without a deadline gets one `default_deadline` from now.
  absl::StatusOr<std::unique_ptr<Registration>> Register(const std::string& request_id,
                                                         const CancellationToken& caller,
                                                         absl::Duration default_deadline);

  absl::Status Abort(const std::string& request_id);  // NOT_FOUND if there is none of that id

 private:
  Clock* const clock_;
  std::string id_stem_;  // makes the ids of two processes differ
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<std::atomic<bool>>> requests_;  // id -> aborted?
  uint64_t num_made_ids_ = 0;
};

}  // namespace cacheclip
