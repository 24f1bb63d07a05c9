// What a stack of tiers notes about one of them: how many reads it answered, how fast, how often it failed,
// and whether it is worth asking now. After a failed read the tier is left alone for a pause that doubles up
// to kMaxPause; then one caller at a time is let through until a read succeeds. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/store/chunk_store.h"

namespace cacheclip {

// Since the process began. Bandwidth = bytes_read / read_duration, latency = miss_duration / num_misses.
struct TierObservations {
  int64_t bytes_read = 0;  // of hits
  absl::Duration read_duration, miss_duration;
  int64_t num_hits = 0, num_misses = 0;
  int64_t num_failed_reads = 0;   // neither hit nor miss; late ones included
  int64_t num_late_reads = 0;     // DEADLINE_EXCEEDED
  int64_t num_skipped_reads = 0;  // not asked during a pause
  int64_t num_failed_puts = 0;
  int64_t num_promotions = 0;  // chunks copied into this tier because they were used
};

struct TierReport {
  std::string name;  // of the store
  Tier tier = Tier::kMemory;
  StoreStats stats;
  TierObservations observations;
};

class TierMonitor {
 public:
  static constexpr absl::Duration kFirstPause = absl::Milliseconds(250);
  static constexpr absl::Duration kMaxPause = absl::Seconds(10);

  explicit TierMonitor(const Clock* clock) : clock_(clock) {}

  bool MayAsk();          // false is counted as a skipped read
  bool IsPaused() const;  // the last read failed and none has succeeded since

  void RecordHit(int64_t bytes, absl::Duration duration);
  void RecordMiss(absl::Duration duration);
  void RecordFailure(const absl::Status& status);
  void RecordFailedPut();
  void RecordPromotion();

  TierObservations observations() const;

 private:
  void Recovered() { pause_ = absl::ZeroDuration(); }

  const Clock* const clock_;
  mutable std::mutex mutex_;
  TierObservations observations_;
  absl::Duration pause_;  // zero: the last read succeeded
  absl::Time paused_until_ = absl::InfinitePast();
};

}  // namespace cacheclip
