#include "common/engine/tier_speed.h"

#include <algorithm>
#include <cmath>

namespace cacheclip {
namespace {

constexpr double kDoubt = 0.05;  // weight of knowing nothing: one fresh read is worth 20 times that

}  // namespace

void TierSpeed::Scale(Sums& sums, double factor) {
  for (double* value : {&sums.weight, &sums.x, &sums.y, &sums.xx, &sums.xy, &sums.yy}) *value *= factor;
}

void TierSpeed::Fade(Sums& sums, absl::Time now) const {
  if (sums.weight > 0)
    Scale(sums, std::exp2(-std::max(0.0, absl::FDivDuration(now - sums.updated, kHalfLife))));
  sums.updated = now;
}

void TierSpeed::Add(Sums& sums, int64_t bytes, absl::Duration duration, double memory) const {
  const double x = static_cast<double>(bytes), y = absl::ToDoubleSeconds(duration);
  Fade(sums, clock_->Now());
  Scale(sums, memory);
  sums.weight += 1;
  sums.x += x;
  sums.y += y;
  sums.xx += x * x;
  sums.xy += x * y;
  sums.yy += y * y;
}

void TierSpeed::ObserveRead(Tier tier, int64_t bytes, absl::Duration duration) {
  std::lock_guard lock(mutex_);
  Sums& sums = sums_[static_cast<size_t>(tier)];
  sums.late_in_row = 0;
  Add(sums, bytes, duration, kMemoryOfReads);
}

void TierSpeed::ObserveLate(Tier tier, int64_t bytes, absl::Duration waited) {
  std::lock_guard lock(mutex_);
  Sums& sums = sums_[static_cast<size_t>(tier)];
  sums.late_in_row = std::min(sums.late_in_row + 1, kMaxLateInRow);
  Add(sums, bytes, waited * std::pow(kLatePenalty, sums.late_in_row), kMemoryAfterLate);
}

TierEstimate TierSpeed::Estimate(Tier tier) const {
  Sums sums;
  {
    std::lock_guard lock(mutex_);
    sums = sums_[static_cast<size_t>(tier)];
  }
  if (sums.weight <= 0) return {};
  Fade(sums, clock_->Now());
  const double mean_x = sums.x / sums.weight, mean_y = sums.y / sums.weight;
  const double variance = std::max(0.0, sums.xx / sums.weight - mean_x * mean_x);
  const double covariance = sums.xy / sums.weight - mean_x * mean_y;
  // Reads of one size say nothing about what size costs: then all of it is bandwidth.
  double slope = variance > 1e-4 * mean_x * mean_x ? covariance / variance : mean_y / std::max(1.0, mean_x);
  slope = std::clamp(slope, 0.0, mean_y / std::max(1.0, mean_x));
  const double latency = std::max(0.0, mean_y - slope * mean_x);
  const double residual =
      sums.yy / sums.weight - mean_y * mean_y + slope * slope * variance - 2 * slope * covariance;
  return {.latency = absl::Seconds(latency),
          .seconds_per_byte = slope,
          .deviation = absl::Seconds(std::sqrt(std::max(0.0, residual))),
          .confidence = sums.weight / (sums.weight + kDoubt)};
}

}  // namespace cacheclip
