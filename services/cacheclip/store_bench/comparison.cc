#include "services/cacheclip/store_bench/comparison.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "services/cacheclip/bench.h"

namespace cacheclip {

nlohmann::json Spread(const std::vector<double>& values) {
  if (values.empty()) return {{"median", 0.0}, {"low", 0.0}, {"high", 0.0}};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {{"median", Median(values)}, {"low", *low}, {"high", *high}};
}

absl::StatusOr<nlohmann::json> Compare(const Comparison& comparison, const StoreBenchOptions& options) {
  const double bytes = static_cast<double>(comparison.num_bytes);
  std::vector<double> rates, limits, ratios;
  for (int round = 0; round <= options.repeat; ++round) {
    CACHECLIP_RETURN_IF_ERROR(options.cancellation.Check());
    double seconds = 0, limit_seconds = 0;
    const auto measure_limit = [&]() -> absl::Status {
      if (comparison.measure_limit == nullptr) return absl::OkStatus();
      CACHECLIP_ASSIGN_OR_RETURN(limit_seconds, comparison.measure_limit());
      return absl::OkStatus();
    };
    if (round % 2 == 1) CACHECLIP_RETURN_IF_ERROR(measure_limit());
    CACHECLIP_ASSIGN_OR_RETURN(seconds, comparison.measure());
    if (round % 2 == 0) CACHECLIP_RETURN_IF_ERROR(measure_limit());
    if (round == 0) continue;  // warm-up
    rates.push_back(bytes / seconds);
    if (limit_seconds <= 0) continue;
    limits.push_back(bytes / limit_seconds);
    ratios.push_back(limit_seconds / seconds);
  }
  nlohmann::json row = {{"tier", comparison.tier},
                        {"operation", comparison.operation},
                        {"bytes", comparison.num_bytes},
                        {"bytes_per_second", Spread(rates)}};
  if (ratios.empty()) return row;
  row["limit"] = comparison.limit;
  row["limit_bytes_per_second"] = Spread(limits);
  row["ratio"] = Spread(ratios);
  row["target"] = comparison.target;
  return row;
}

absl::StatusOr<double> TimeOnThreads(int num_threads, int count,
                                     const std::function<absl::Status(int i)>& work) {
  std::atomic<int> next = 0;
  std::mutex mutex;
  absl::Status failure;
  const auto loop = [&] {
    for (int i = next++; i < count; i = next++) {
      const absl::Status status = work(i);
      if (status.ok()) continue;
      std::lock_guard lock(mutex);
      if (failure.ok()) failure = status;
      return;
    }
  };
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> others;
  for (int i = 1; i < std::min(num_threads, count); ++i) others.emplace_back(loop);
  loop();
  for (std::thread& thread : others) thread.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  CACHECLIP_RETURN_IF_ERROR(failure);
  return seconds;
}

}  // namespace cacheclip
