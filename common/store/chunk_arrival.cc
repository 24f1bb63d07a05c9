#include "common/store/chunk_arrival.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"

namespace cacheclip {

absl::Status ChunkArrival::WaitForLayer(int32_t layer, absl::Time deadline) const {
  std::unique_lock lock(mutex_);
  const auto is_decided = [&] { return num_published_ > layer || !failure_.ok(); };
  if (deadline == absl::InfiniteFuture()) {
    changed_.wait(lock, is_decided);
  } else {
    changed_.wait_until(lock, absl::ToChronoTime(deadline), is_decided);
  }
  if (num_published_ > layer) return absl::OkStatus();
  if (!failure_.ok()) return failure_;
  return absl::DeadlineExceededError(
      absl::StrCat("layer ", layer, " has not arrived; ", num_published_, " of ", num_layers_, " have"));
}

void ChunkArrival::Abandon() {
  std::lock_guard lock(mutex_);
  is_abandoned_ = true;
}

void ChunkArrival::Publish(int32_t num_layers) {
  {
    std::lock_guard lock(mutex_);
    num_published_ = std::max(num_published_, num_layers);
  }
  changed_.notify_all();
}

void ChunkArrival::Fail(const absl::Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (num_published_ < num_layers_ && failure_.ok()) failure_ = status;
  }
  changed_.notify_all();
}

bool ChunkArrival::IsAbandoned() const {
  std::lock_guard lock(mutex_);
  return is_abandoned_;
}

}  // namespace cacheclip
