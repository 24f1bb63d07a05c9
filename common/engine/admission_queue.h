// Who may run: requests wait here, first come first served, until a place and the bytes of their KV cache are
// free. The first in line is never passed by a smaller one behind it, so nothing starves. Everything is
// bounded: a request that finds the line full, or that could never fit, is refused with RESOURCE_EXHAUSTED
// naming the limit.
//
//   CACHECLIP_ASSIGN_OR_RETURN(AdmissionQueue::Ticket ticket, admission.Admit(kv_bytes, cancellation));
//   … the bytes are reserved until `ticket` dies …
//
// Thread-safe. A ticket must not outlive its queue. A waiting request notices its cancellation within
// kPollInterval.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"

namespace cacheclip {

struct AdmissionOptions {
  int max_waiting = 64;                     // requests in line; 0 = nobody waits
  int max_running = 8;                      // tickets out at once
  int64_t max_kv_bytes = int64_t{4} << 30;  // of all tickets together
};

struct AdmissionLoad {
  int num_running = 0, num_waiting = 0;
  int64_t kv_bytes_reserved = 0;
};

class AdmissionQueue {
 public:
  static constexpr absl::Duration kPollInterval = absl::Milliseconds(5);

  class Ticket {
   public:
    Ticket(Ticket&& other) noexcept
        : queue_(std::exchange(other.queue_, nullptr)), kv_bytes_(other.kv_bytes_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (queue_ != nullptr) queue_->Release(kv_bytes_);
    }

   private:
    friend class AdmissionQueue;
    Ticket(AdmissionQueue* queue, int64_t kv_bytes) : queue_(queue), kv_bytes_(kv_bytes) {}
    AdmissionQueue* queue_;
    int64_t kv_bytes_;
  };

  explicit AdmissionQueue(AdmissionOptions options) : options_(options) {}

  // Waits for its turn. CANCELLED or DEADLINE_EXCEEDED if `cancellation` says so first.
  absl::StatusOr<Ticket> Admit(int64_t kv_bytes, const CancellationToken& cancellation);

  AdmissionLoad load() const;

 private:
  using Line = std::list<int64_t>;  // the bytes each waiting request asks for

  bool Fits(int64_t kv_bytes) const;  // with mutex_ held
  void Release(int64_t kv_bytes);

  const AdmissionOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Line line_;
  int num_running_ = 0;
  int64_t kv_bytes_reserved_ = 0;
};

}  // namespace cacheclip
