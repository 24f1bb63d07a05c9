// Two evaluations beside each other: per method and budget, how the KL of the same samples moved. Tells a
// change for the worse from noise. Pure functions on records.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace cacheclip {

struct KlChange {
  std::string method;
  double budget = 0;
  int num_samples = 0;            // that both have
  double old_kl = 0, new_kl = 0;  // means over them
  double low = 0, high = 0;       // of the mean paired difference new − old: 95 % bootstrap interval
  double margin = 0;              // share of old_kl that is let pass

  // Fewer samples than this say nothing.
  static constexpr int kMinSamples = 8;
  bool is_worse() const { return num_samples >= kMinSamples && low > margin * old_kl; }
};

// Cells are the same if task, sample, seed, context, chunk, method and budget are; model and auxiliary may
// differ (that is what is compared, often). Sorted by method and budget; methods that one side lacks are left
// out. `margin`: a rise by this share of the old mean is not worse yet; for lines of another machine, where
// other kernels round in other ways.
std::vector<KlChange> CompareKl(const std::vector<nlohmann::json>& old_records,
                                const std::vector<nlohmann::json>& new_records, double margin = 0);

// 95 % percentile interval of the mean, resampled with a fixed seed. `values`: not empty.
struct Interval {
  double low = 0, high = 0;
};
Interval BootstrapMean(const std::vector<double>& values);

}  // namespace cacheclip
