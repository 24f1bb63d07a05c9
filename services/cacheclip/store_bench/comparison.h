// Something measured beside its limit: both move the same bytes, in turn, so that other load on the machine
// meets both alike. Functions; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "services/cacheclip/store_bench/store_bench.h"

namespace cacheclip {

// One round; returns the seconds that count (preparations do not).
using TimedRound = std::function<absl::StatusOr<double>()>;

struct Comparison {
  std::string tier, operation;
  std::string limit;      // what the limit is, in words
  int64_t num_bytes = 0;  // moved by a round of either
  double target = 0;      // share of the limit that is aimed at; 0 = none
  TimedRound measure;
  TimedRound measure_limit;  // null: no limit
};

// The median and the range of one number over the rounds.
nlohmann::json Spread(const std::vector<double>& values);  // {"median", "low", "high"}

// One unmeasured round of both, then options.repeat rounds of each in turn, the first changing places. Gives
// a row:
// {"tier", "operation", "bytes", "bytes_per_second": spread, "limit", "limit_bytes_per_second": spread,
//  "ratio": spread of the rounds' ratios, "target"}, without the last four where there is no limit.
// CANCELLED between two rounds.
absl::StatusOr<nlohmann::json> Compare(const Comparison& comparison, const StoreBenchOptions& options);

// Calls `work(i)` for every i below `count`, shared out among `num_threads` threads; the first error of any.
// Returns how long it took.
absl::StatusOr<double> TimeOnThreads(int num_threads, int count,
                                     const std::function<absl::Status(int i)>& work);

}  // namespace cacheclip
