#include "common/engine/admission_queue.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {

absl::StatusOr<AdmissionQueue::Ticket> AdmissionQueue::Admit(int64_t kv_bytes,
                                                             const CancellationToken& cancellation) {
  if (kv_bytes > options_.max_kv_bytes)
    return absl::ResourceExhaustedError(absl::StrCat(
        "the request needs ", kv_bytes, " bytes of KV cache; max_kv_bytes is ", options_.max_kv_bytes));
  CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
  std::unique_lock lock(mutex_);
  if (line_.empty() && Fits(kv_bytes)) {
    ++num_running_;
    kv_bytes_reserved_ += kv_bytes;
    return Ticket(this, kv_bytes);
  }
  if (static_cast<int>(line_.size()) >= options_.max_waiting)
    return absl::ResourceExhaustedError(absl::StrCat(
        line_.size(), " requests are waiting already; max_waiting_requests is ", options_.max_waiting));
  const Line::iterator place = line_.insert(line_.end(), kv_bytes);
  absl::Status status;
  while (status.ok() && !(line_.begin() == place && Fits(kv_bytes))) {
    changed_.wait_for(lock, absl::ToChronoMilliseconds(kPollInterval));
    status = cancellation.Check();
  }
  line_.erase(place);
  if (status.ok()) {
    ++num_running_;
    kv_bytes_reserved_ += kv_bytes;
  }
  lock.unlock();
  changed_.notify_all();  // the next in line is first now
  if (!status.ok()) return WithContext(status, "while waiting for admission");
  return Ticket(this, kv_bytes);
}

bool AdmissionQueue::Fits(int64_t kv_bytes) const {
  return num_running_ < options_.max_running && kv_bytes_reserved_ + kv_bytes <= options_.max_kv_bytes;
}

void AdmissionQueue::Release(int64_t kv_bytes) {
  {
    std::lock_guard lock(mutex_);
    --num_running_;
    kv_bytes_reserved_ -= kv_bytes;
  }
  changed_.notify_all();
}

AdmissionLoad AdmissionQueue::load() const {
  std::lock_guard lock(mutex_);
  return {num_running_, static_cast<int>(line_.size()), kv_bytes_reserved_};
}

}  // namespace cacheclip
