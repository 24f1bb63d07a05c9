// How far an answer may be from full prefill's, judged from what a request has measured anyway: the share of
// the scores (the question's attention to context tokens) that lies on stale tokens which were not
// recomputed. A selector answers the share; the estimate is the share times a coefficient of the model. An
// estimate ranks answers rather than measuring them: docs/evaluation.md says how well. Pure functions,
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/select/context_map.h"

namespace cacheclip {

// Nats per token of answer if all attention were on stale tokens. Of the demo model, on the questions of
// docs/evaluation.md; `cacheclip tune` finds another model's.
inline constexpr double kDefaultDivergencePerStaleMass = 0.044;

// 0 … 1. `scores`: [map.num_tokens()], not negative; `recomputed`: sorted indices. The first chunk is stale
// only where `first_chunk_is_stale`: it does not stand right behind the prefix it was encoded with. 0 where
// nothing is attended at all.
double StaleMassShare(const ContextMap& map, std::span<const float> scores,
                      std::span<const int32_t> recomputed, bool first_chunk_is_stale);

// What attention weights on the tokens that stay stale are multiplied by: `stale_weight` if the chosen tokens
// hold all of the question's attention, more the larger the share that is on stale tokens, 1 from
// kFullWeightShare on. Fresh tokens that the question looks at compete with stale ones whose keys attract
// attention that they would not get in context; where much of what matters is stale, though, it has to be
// heard (docs/adr/0018).
double StaleAttentionWeight(double stale_weight, double stale_mass_share);
inline constexpr double kFullWeightShare = 0.64;

// Nats per token. 0 where every token is fresh: a full prefill, a single chunk, all recomputed. Otherwise
// nothing without a share: nobody scored.
std::optional<double> EstimateDivergence(const ContextMap& map, std::span<const int32_t> recomputed,
                                         bool first_chunk_is_stale, std::optional<double> stale_mass_share,
                                         double divergence_per_stale_mass);

}  // namespace cacheclip
