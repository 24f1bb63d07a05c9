// How fast each storage tier is, learned from what it delivered: latency and bandwidth by least squares over
// recent reads, and how much the reads differ from that. Old observations fade with kHalfLife, so that a tier
// that was slow or stuck is tried again after a while: the less is known, the more optimistic the estimate. A
// read that was given up counts as if it had taken kLatePenalty times as long as was waited for it, the next
// in a row kLatePenalty times that again, so that a tier that stays stuck is tried ever more rarely; and what
// was learned before it counts for little.
// Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/store/chunk_store.h"

namespace cacheclip {

struct TierEstimate {
  absl::Duration latency;
  double seconds_per_byte = 0;
  absl::Duration deviation;  // standard deviation of a read from latency + bytes * seconds_per_byte
  double confidence = 0;     // 0: nothing is known … 1

  // What reading this many bytes is expected to take: one standard deviation on the safe side, less the less
  // is known.
  absl::Duration Predict(int64_t bytes) const {
    return confidence * (latency + absl::Seconds(seconds_per_byte * static_cast<double>(bytes)) + deviation);
  }
};

class TierSpeed {
 public:
  static constexpr absl::Duration kHalfLife = absl::Seconds(10);
  static constexpr double kMemoryOfReads = 0.9;  // weight of all earlier reads after one more
  static constexpr double kMemoryAfterLate = 0.1;
  static constexpr double kLatePenalty = 4;
  static constexpr int kMaxLateInRow = 5;

  explicit TierSpeed(const Clock* clock) : clock_(clock) {}

  // All bytes of one request from this tier, from the moment of asking until the last of them was there.
  void ObserveRead(Tier tier, int64_t bytes, absl::Duration duration);
  void ObserveLate(Tier tier, int64_t bytes, absl::Duration waited);

  TierEstimate Estimate(Tier tier) const;

 private:
  struct Sums {  // weighted; x = bytes, y = seconds
    double weight = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;
    absl::Time updated = absl::InfinitePast();
    int late_in_row = 0;
  };
  static void Scale(Sums& sums, double factor);
  void Fade(Sums& sums, absl::Time now) const;
  void Add(Sums& sums, int64_t bytes, absl::Duration duration, double memory) const;

  const Clock* const clock_;
  mutable std::mutex mutex_;
  std::array<Sums, 8> sums_;  // by Tier
};

}  // namespace cacheclip
