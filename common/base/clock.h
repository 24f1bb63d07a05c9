// Time as a constructor argument, so that expiry, deadlines and idle limits can be tested without waiting.
// RealClock() for production; FakeClock moves only when told. Thread-safe.
#pragma once

#include <mutex>

#include "absl/time/time.h"

namespace cacheclip {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;  // wall-clock time, for expiry stamps that outlive the process
};

// The process-wide system clock; never destroyed.
Clock* RealClock();

class FakeClock : public Clock {
 public:
  explicit FakeClock(absl::Time start = absl::UnixEpoch() + absl::Hours(24)) : now_(start) {}
  absl::Time Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  void Advance(absl::Duration duration) {
    std::lock_guard lock(mutex_);
    now_ += duration;
  }

 private:
  mutable std::mutex mutex_;
  absl::Time now_;
};

}  // namespace cacheclip
