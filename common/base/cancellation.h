// Cooperative cancellation: long work asks `token.Check()` at each model layer and returns its error. A token
// is cancelled by Cancel(), by its deadline, or by a poll function (an RPC context's own flag). Copies share
// the state. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace cacheclip {

class CancellationToken {
 public:
  // A token that nobody has cancelled. `deadline` is wall-clock time; `is_cancelled` may be empty.
  explicit CancellationToken(absl::Time deadline = absl::InfiniteFuture(),
                             std::function<bool()> is_cancelled = {}, Clock* clock = RealClock())
      : state_(std::make_shared<State>()), deadline_(deadline), clock_(clock) {
    state_->is_cancelled = std::move(is_cancelled);
  }

  void Cancel() { state_->cancelled = true; }
  absl::Time deadline() const { return deadline_; }

  // OK, CANCELLED or DEADLINE_EXCEEDED.
  absl::Status Check() const {
    if (state_->cancelled || (state_->is_cancelled && state_->is_cancelled()))
      return absl::CancelledError("cancelled by the caller");
    if (deadline_ != absl::InfiniteFuture() && clock_->Now() >= deadline_)
      return absl::DeadlineExceededError("the request's deadline has passed");
    return absl::OkStatus();
  }

 private:
  struct State {
    std::atomic<bool> cancelled{false};
    std::function<bool()> is_cancelled;
  };
  std::shared_ptr<State> state_;
  absl::Time deadline_;
  Clock* clock_;
};

}  // namespace cacheclip
