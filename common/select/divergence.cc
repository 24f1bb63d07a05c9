#include "common/select/divergence.h"

#include <algorithm>

#include "common/base/logging.h"

namespace cacheclip {

double StaleMassShare(const ContextMap& map, std::span<const float> scores,
                      std::span<const int32_t> recomputed, bool first_chunk_is_stale) {
  const int32_t num_tokens = map.num_tokens();
  CACHECLIP_CHECK(scores.size() == static_cast<size_t>(num_tokens))
      << scores.size() << " scores for " << num_tokens << " tokens";
  const int32_t first_stale = map.FirstStale(first_chunk_is_stale);
  double stale = 0, fresh = 0;
  auto next = recomputed.begin();
  for (int32_t i = 0; i < num_tokens; ++i) {
    const bool is_recomputed = next != recomputed.end() && *next == i;
    if (is_recomputed) ++next;
    (is_recomputed || i < first_stale ? fresh : stale) += scores[static_cast<size_t>(i)];
  }
  return stale > 0 ? stale / (stale + fresh) : 0;
}

double StaleAttentionWeight(double stale_weight, double stale_mass_share) {
  return stale_weight + (1 - stale_weight) * std::min(1.0, stale_mass_share / kFullWeightShare);
}

std::optional<double> EstimateDivergence(const ContextMap& map, std::span<const int32_t> recomputed,
                                         bool first_chunk_is_stale, std::optional<double> stale_mass_share,
                                         double divergence_per_stale_mass) {
  const int32_t first_stale = map.FirstStale(first_chunk_is_stale);
  const auto num_recomputed = std::ranges::count_if(recomputed, [&](int32_t i) { return i >= first_stale; });
  if (num_recomputed == map.num_tokens() - first_stale) return 0;
  if (!stale_mass_share.has_value()) return std::nullopt;
  return divergence_per_stale_mass * *stale_mass_share;
}

}  // namespace cacheclip
