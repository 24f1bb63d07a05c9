#include "common/engine/running_requests.h"

#include <atomic>
#include <cstdint>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {

RunningRequests::Registration::Registration(RunningRequests* table, std::string request_id,
                                            std::shared_ptr<std::atomic<bool>> aborted,
                                            CancellationToken cancellation)
    : table_(table),
      request_id_(std::move(request_id)),
      aborted_(std::move(aborted)),
      cancellation_(std::move(cancellation)) {}

RunningRequests::Registration::~Registration() {
  std::lock_guard lock(table_->mutex_);
  table_->requests_.erase(request_id_);
}

RunningRequests::RunningRequests(Clock* clock)
    : clock_(clock),
      id_stem_(absl::StrCat("gen-", absl::Hex(std::random_device()(), absl::kZeroPad8), "-")) {}

absl::StatusOr<std::unique_ptr<RunningRequests::Registration>> RunningRequests::Register(
    const std::string& request_id, const CancellationToken& caller, absl::Duration default_deadline) {
  auto aborted = std::make_shared<std::atomic<bool>>(false);
  // The deadline is asked separately, so that a late request does not read as a cancelled one.
  const auto is_cancelled = [aborted, caller] { return *aborted || absl::IsCancelled(caller.Check()); };
  const absl::Time deadline =
      caller.deadline() == absl::InfiniteFuture() ? clock_->Now() + default_deadline : caller.deadline();
  std::lock_guard lock(mutex_);
  std::string id = request_id.empty() ? absl::StrCat(id_stem_, ++num_made_ids_) : request_id;
  if (!requests_.emplace(id, aborted).second)
    return FieldError(absl::StatusCode::kAlreadyExists, "request_id",
                      absl::StrCat("a request ", id, " is running"));
  return std::unique_ptr<Registration>(
      new Registration(this, std::move(id), aborted, CancellationToken(deadline, is_cancelled, clock_)));
}

absl::Status RunningRequests::Abort(const std::string& request_id) {
  std::lock_guard lock(mutex_);
  const auto found = requests_.find(request_id);
  if (found == requests_.end())
    return FieldError(absl::StatusCode::kNotFound, "request_id",
                      absl::StrCat("no request ", request_id, " is running"));
  *found->second = true;
  return absl::OkStatus();
}

}  // namespace cacheclip
