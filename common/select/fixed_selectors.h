// Selections that need no scores: EPIC's chunk heads and the controls random, none and full. Same rules as
// Select(): exactly the budget, the first chunk only if selectable or at budget 1. Of the options only
// `budget` and `first_chunk_selectable` are read. Pure functions, thread-safe.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/select/selection.h"

namespace cacheclip {

// The first k tokens of each chunk; k grows evenly until the budget is met, earlier chunks take the
// remainder, a chunk that is shorter than k leaves its share to the others.
absl::StatusOr<RecomputeSet> SelectChunkHeads(const ContextMap& map, const SelectionOptions& options);

// Single tokens, uniformly; the same seed gives the same set on every machine.
absl::StatusOr<RecomputeSet> SelectRandom(const ContextMap& map, const SelectionOptions& options,
                                          uint64_t seed);

RecomputeSet SelectNone(const ContextMap& map);
RecomputeSet SelectAll(const ContextMap& map);  // the first chunk included

}  // namespace cacheclip
