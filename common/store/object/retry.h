// Repeats what failed for a passing reason: exponential back-off with full jitter (a random part of a limit
// that doubles), within the token's deadline. Only UNAVAILABLE is repeated; everything else is an answer.
//
//   Retrier retrier({.max_attempts = 5, .clock = clock});
//   absl::Status status = retrier.Run(token, [&] { return TryOnce(); });
//
// Waiting and chance come in through the options, so that tests neither wait nor vary. Thread-safe.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"

namespace cacheclip {

struct RetryOptions {
  int max_attempts = 5;                                   // 1: never repeat
  absl::Duration first_backoff = absl::Milliseconds(50);  // limit of the first pause; doubles
  absl::Duration max_backoff = absl::Seconds(2);
  Clock* clock = RealClock();                 // what deadlines are compared with
  std::function<void(absl::Duration)> pause;  // empty: the thread waits
  std::function<double()> random;             // in [0, 1); empty: a generator seeded by the system
};

class Retrier {
 public:
  explicit Retrier(RetryOptions options);

  // The first status that is not UNAVAILABLE, or the last one, saying how often it was tried. A pause that
  // would pass the deadline is not begun: DEADLINE_EXCEEDED with the last failure in the message.
  absl::Status Run(const CancellationToken& token, const std::function<absl::Status()>& attempt) const;

 private:
  RetryOptions options_;
};

}  // namespace cacheclip
