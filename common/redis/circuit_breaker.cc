#include "common/redis/circuit_breaker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace cacheclip {

absl::Status CircuitBreaker::Enter() {
  std::lock_guard lock(mutex_);
  if (!is_open_) return absl::OkStatus();
  if (!is_probing_ && options_.clock->Now() >= next_probe_) {
    is_probing_ = true;
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat("left alone after ", failures_in_a_row_,
                                             " failures in a row, the last one: ", last_failure_.message()));
}

void CircuitBreaker::Succeed() {
  std::lock_guard lock(mutex_);
  failures_in_a_row_ = 0;
  is_open_ = is_probing_ = false;
}

void CircuitBreaker::Fail(const absl::Status& failure) {
  std::lock_guard lock(mutex_);
  ++failures_in_a_row_;
  last_failure_ = failure;
  if (!is_open_ && failures_in_a_row_ >= options_.failures) {
    is_open_ = true;
    backoff_ = options_.backoff;
    next_probe_ = options_.clock->Now() + backoff_;
  } else if (is_probing_) {
    is_probing_ = false;
    backoff_ = std::min(2 * backoff_, options_.max_backoff);
    next_probe_ = options_.clock->Now() + backoff_;
  }
}

void CircuitBreaker::Withdraw() {
  std::lock_guard lock(mutex_);
  is_probing_ = false;
}

bool CircuitBreaker::is_open() const {
  std::lock_guard lock(mutex_);
  return is_open_;
}

}  // namespace cacheclip
