#include "common/select/fixed_selectors.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/base/status.h"
#include "common/select/selectable.h"

namespace cacheclip {
namespace {

// One step of SplitMix64: a well-mixed 64-bit value per counter, the same on every platform.
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace

absl::StatusOr<RecomputeSet> SelectChunkHeads(const ContextMap& map, const SelectionOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(Selectable selectable, FindSelectable(map, options));
  RecomputeSet set{.num_context_tokens = map.num_tokens()};
  const std::vector<int32_t> heads =
      HeadLengths(selectable.chunks, selectable.budget_tokens, map.num_tokens());
  for (size_t c = 0; c < heads.size(); ++c)
    for (int32_t i = 0; i < heads[c]; ++i) set.indices.push_back(selectable.chunks[c].begin + i);
  return set;
}

absl::StatusOr<RecomputeSet> SelectRandom(const ContextMap& map, const SelectionOptions& options,
                                          uint64_t seed) {
  CACHECLIP_ASSIGN_OR_RETURN(Selectable selectable, FindSelectable(map, options));
  std::vector<std::pair<uint64_t, int32_t>> tickets;
  for (const IndexRange& chunk : selectable.chunks)
    for (int32_t i = chunk.begin; i < chunk.end; ++i) tickets.emplace_back(Mix(Mix(seed) + i), i);
  std::nth_element(tickets.begin(), tickets.begin() + selectable.budget_tokens, tickets.end());
  RecomputeSet set{.num_context_tokens = map.num_tokens()};
  for (int32_t i = 0; i < selectable.budget_tokens; ++i) set.indices.push_back(tickets[i].second);
  std::sort(set.indices.begin(), set.indices.end());
  return set;
}

RecomputeSet SelectNone(const ContextMap& map) { return {.num_context_tokens = map.num_tokens()}; }

RecomputeSet SelectAll(const ContextMap& map) {
  RecomputeSet set{.num_context_tokens = map.num_tokens()};
  set.indices.resize(set.num_context_tokens);
  std::iota(set.indices.begin(), set.indices.end(), 0);
  return set;
}

}  // namespace cacheclip
