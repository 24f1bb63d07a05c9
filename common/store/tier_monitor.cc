#include "common/store/tier_monitor.h"

#include <algorithm>

namespace cacheclip {

bool TierMonitor::MayAsk() {
  std::lock_guard lock(mutex_);
  if (pause_ == absl::ZeroDuration()) return true;
  const absl::Time now = clock_->Now();
  if (now < paused_until_) {
    ++observations_.num_skipped_reads;
    return false;
  }
  paused_until_ = now + pause_;  // one caller tries; the others wait for what becomes of it
  return true;
}

bool TierMonitor::IsPaused() const {
  std::lock_guard lock(mutex_);
  return pause_ > absl::ZeroDuration();
}

void TierMonitor::RecordHit(int64_t bytes, absl::Duration duration) {
  std::lock_guard lock(mutex_);
  ++observations_.num_hits;
  observations_.bytes_read += bytes;
  observations_.read_duration += duration;
  Recovered();
}

void TierMonitor::RecordMiss(absl::Duration duration) {
  std::lock_guard lock(mutex_);
  ++observations_.num_misses;
  observations_.miss_duration += duration;
  Recovered();
}

void TierMonitor::RecordFailure(const absl::Status& status) {
  std::lock_guard lock(mutex_);
  ++observations_.num_failed_reads;
  if (absl::IsDeadlineExceeded(status)) ++observations_.num_late_reads;
  pause_ = pause_ == absl::ZeroDuration() ? kFirstPause : std::min(2 * pause_, kMaxPause);
  paused_until_ = clock_->Now() + pause_;
}

void TierMonitor::RecordFailedPut() {
  std::lock_guard lock(mutex_);
  ++observations_.num_failed_puts;
}

void TierMonitor::RecordPromotion() {
  std::lock_guard lock(mutex_);
  ++observations_.num_promotions;
}

TierObservations TierMonitor::observations() const {
  std::lock_guard lock(mutex_);
  return observations_;
}

}  // namespace cacheclip
