#include "services/evaluation/comparison.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/evaluation/haystack.h"

namespace cacheclip {
namespace {

constexpr int kResamples = 2000;
constexpr uint64_t kSeed = 20260101;

using Cell = std::pair<std::string, double>;     // method, budget
using BySample = std::map<std::string, double>;  // KL
using Cells = std::map<Cell, BySample>;

Cells ByCell(const std::vector<nlohmann::json>& records) {
  Cells cells;
  for (const nlohmann::json& record : records) {
    std::string sample;
    for (const char* field : {"task", "sample", "seed", "context", "chunk"})
      absl::StrAppend(&sample, record.value(field, nlohmann::json()).dump(), "|");
    cells[{record.at("method"), record.at("budget")}][std::move(sample)] = record.at("kl");
  }
  return cells;
}

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

Interval BootstrapMean(const std::vector<double>& values) {
  Random random(kSeed);
  const int count = static_cast<int>(values.size());
  std::vector<double> means;
  for (int i = 0; i < kResamples; ++i) {
    double sum = 0;
    for (int j = 0; j < count; ++j) sum += values[static_cast<size_t>(random.Below(count))];
    means.push_back(sum / count);
  }
  std::sort(means.begin(), means.end());
  return {means[kResamples * 25 / 1000], means[kResamples * 975 / 1000 - 1]};
}

std::vector<KlChange> CompareKl(const std::vector<nlohmann::json>& old_records,
                                const std::vector<nlohmann::json>& new_records, double margin) {
  const Cells old_cells = ByCell(old_records), new_cells = ByCell(new_records);
  std::vector<KlChange> changes;
  for (const auto& [cell, new_samples] : new_cells) {
    const auto old_samples = old_cells.find(cell);
    if (old_samples == old_cells.end()) continue;
    std::vector<double> before, after, differences;
    for (const auto& [sample, kl] : new_samples) {
      const auto old = old_samples->second.find(sample);
      if (old == old_samples->second.end()) continue;
      before.push_back(old->second);
      after.push_back(kl);
      differences.push_back(kl - old->second);
    }
    if (differences.empty()) continue;
    const Interval interval = BootstrapMean(differences);
    changes.push_back({cell.first, cell.second, static_cast<int>(differences.size()), Mean(before),
                       Mean(after), interval.low, interval.high, margin});
  }
  return changes;
}

}  // namespace cacheclip
