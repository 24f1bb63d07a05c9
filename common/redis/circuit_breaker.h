// Keeps calls from a node that does not answer: after `failures` failures in a row it is open and every
// Enter() is refused at once, until the backoff has passed and one call is let through as a probe. Its
// success closes the breaker, its failure doubles the backoff. Thread-safe.
#pragma once

#include <mutex>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace cacheclip {

struct CircuitBreakerOptions {
  int failures = 3;
  absl::Duration backoff = absl::Milliseconds(500);
  absl::Duration max_backoff = absl::Seconds(30);
  Clock* clock = RealClock();
};

class CircuitBreaker {
 public:
  explicit CircuitBreaker(const CircuitBreakerOptions& options) : options_(options) {}

  // Before a call. UNAVAILABLE, with the failure that opened it, when the call must not be made. After OK
  // exactly one of the three below must follow.
  absl::Status Enter();
  void Succeed();
  void Fail(const absl::Status& failure);
  void Withdraw();  // the call says nothing about the node (its own deadline was too short)

  bool is_open() const;

 private:
  const CircuitBreakerOptions options_;
  mutable std::mutex mutex_;
  int failures_in_a_row_ = 0;
  bool is_open_ = false;
  bool is_probing_ = false;
  absl::Duration backoff_ = absl::ZeroDuration();
  absl::Time next_probe_;
  absl::Status last_failure_;
};

}  // namespace cacheclip
