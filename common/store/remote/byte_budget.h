// Bounds the bytes that a remote tier holds for chunks on their way in. Reserve() waits its turn; a
// reservation larger than the whole budget is let through alone, so that no chunk is impossible. Thread-safe;
// the budget must outlive its reservations.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace cacheclip {

class ByteBudget {
 public:
  class Reservation {  // gives the bytes back when it goes
   public:
    Reservation(ByteBudget* budget, int64_t bytes) : budget_(budget), bytes_(bytes) {}
    Reservation(Reservation&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation();

   private:
    ByteBudget* budget_;
    const int64_t bytes_;
  };

  explicit ByteBudget(int64_t max_bytes) : max_bytes_(max_bytes) {}
  // DEADLINE_EXCEEDED when there was no room in time.
  absl::StatusOr<Reservation> Reserve(int64_t bytes, absl::Time deadline);
  int64_t reserved_bytes() const;

 private:
  const int64_t max_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  int64_t reserved_bytes_ = 0;
};

}  // namespace cacheclip
