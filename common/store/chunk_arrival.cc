#include "common/store/chunk_arrival.h"

#include <algorithm>
#include <chrono>
#include <utility>

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

bool ChunkArrival::Share() {
  std::lock_guard lock(mutex_);
  if (num_readers_ == 0) return false;
  ++num_readers_;
  return true;
}

void ChunkArrival::Abandon() {
  std::lock_guard lock(mutex_);
  if (num_readers_ > 0) --num_readers_;
}

void ChunkArrival::OnEnd(EndCallback on_end) {
  absl::Status status;
  {
    std::lock_guard lock(mutex_);
    if (!HasEnded()) {
      on_end_.push_back(std::move(on_end));
      return;
    }
    status = failure_;
  }
  on_end(status);
}

void ChunkArrival::Publish(int32_t num_layers) {
  std::vector<EndCallback> ended;
  {
    std::lock_guard lock(mutex_);
    num_published_ = std::max(num_published_, num_layers);
    if (HasEnded()) ended.swap(on_end_);
  }
  changed_.notify_all();
  for (const EndCallback& on_end : ended) on_end(absl::OkStatus());
}

void ChunkArrival::Fail(const absl::Status& status) {
  std::vector<EndCallback> ended;
  {
    std::lock_guard lock(mutex_);
    if (!HasEnded()) failure_ = status;
    if (!failure_.ok()) ended.swap(on_end_);
  }
  changed_.notify_all();
  for (const EndCallback& on_end : ended) on_end(status);
}

int ChunkArrival::num_readers() const {
  std::lock_guard lock(mutex_);
  return num_readers_;
}

bool ChunkArrival::IsAbandoned() const { return num_readers() == 0; }

}  // namespace cacheclip
