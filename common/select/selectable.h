// What may be selected at all, shared by every selection: which chunks, how many tokens, how heads are shared
// out. Part of the select library's inside; users call selection.h and fixed_selectors.h. Pure functions,
// thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "common/select/context_map.h"
#include "common/select/selection.h"

namespace cacheclip {

struct Selectable {
  std::vector<IndexRange> chunks;  // non-empty chunks whose tokens may be chosen
  int32_t budget_tokens = 0;       // how many to choose, never more than the chunks hold
};

// Applies the budget and the first-chunk rule. Errors as Select().
absl::StatusOr<Selectable> FindSelectable(const ContextMap& map, const SelectionOptions& options);

// Shares `num_tokens` out over the heads of `chunks`, as evenly as their lengths and `max_per_chunk` allow;
// earlier chunks take the remainder. [chunks.size()]
std::vector<int32_t> HeadLengths(std::span<const IndexRange> chunks, int32_t num_tokens,
                                 int32_t max_per_chunk);

}  // namespace cacheclip
