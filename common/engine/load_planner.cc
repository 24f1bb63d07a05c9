#include "common/engine/load_planner.h"

#include <algorithm>
#include <cmath>

namespace cacheclip {

absl::Duration ComputeCosts::EncodeAll(const std::vector<bool>& missing) const {
  absl::Duration total;
  for (size_t i = 0; i < missing.size(); ++i)
    if (missing[i]) total += encode[i];
  return total;
}

// Loads run side by side: bandwidth is shared, latency is paid once. A chunk is worth it if its own bytes
// take less than encoding it; all of those together have to make up for the latency as well.
std::vector<ChunkLoadPlan> PlanLoads(const LoadPlanInput& input) {
  std::vector<ChunkLoadPlan> plans(input.chunk_bytes.size());
  for (ChunkLoadPlan& plan : plans) plan.reason = input.costs.is_known() ? kLoadFaster : kLoadUnmeasured;
  if (!input.costs.is_known()) return plans;
  for (const TierOption& option : input.tiers) {
    const absl::Duration latency = option.estimate.Predict(0);
    std::vector<bool> is_worth_it;
    absl::Duration saved;
    for (size_t i = 0; i < plans.size(); ++i) {
      const absl::Duration own = option.estimate.Predict(input.chunk_bytes[i]) - latency;
      is_worth_it.push_back(own <= input.costs.encode[i]);
      if (is_worth_it[i]) saved += input.costs.encode[i] - own;
    }
    for (size_t i = 0; i < plans.size(); ++i) {
      if (is_worth_it[i] && latency <= saved) continue;
      plans[i].avoid.Add(option.tier);
      plans[i].reason = kLoadSomeTiers;
    }
  }
  return plans;
}

absl::Duration LoadAllowance(const ComputeCosts& costs, const std::vector<bool>& missing,
                             absl::Duration timeout) {
  if (!costs.is_known()) return timeout;
  const absl::Duration way_out = std::min(costs.full_prefill, costs.SelectiveWay(missing));
  return std::clamp(costs.LatestFinish() - way_out, absl::ZeroDuration(), timeout);
}

bool FullPrefillWins(const ComputeCosts& costs, const std::vector<bool>& missing, absl::Duration elapsed) {
  if (!costs.is_known()) return false;
  const absl::Duration encode = costs.SelectiveWay(missing);
  return elapsed + encode > costs.LatestFinish() && costs.full_prefill < encode;
}

int LayersToAwait(int num_layers, absl::Duration remaining_load, absl::Duration pass) {
  if (remaining_load <= pass || num_layers <= 1) return 1;
  const double share = 1 - absl::FDivDuration(pass, remaining_load);
  return std::clamp(static_cast<int>(std::ceil(share * num_layers)), 1, num_layers);
}

}  // namespace cacheclip
