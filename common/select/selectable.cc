#include "common/select/selectable.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {

double RecomputeSet::realised_ratio() const {
  return num_context_tokens == 0 ? 0.0 : static_cast<double>(indices.size()) / num_context_tokens;
}

int32_t BudgetTokens(double budget, int32_t num_tokens) {
  // 0.29 * 100 is 28.999…: start one too high and step down to what the budget, as a ratio, allows.
  int32_t count = std::min(num_tokens, static_cast<int32_t>(budget * num_tokens) + 1);
  while (count > 0 && static_cast<double>(count) / num_tokens > budget) --count;
  return count;
}

absl::Status ValidateSelectionOptions(const SelectionOptions& options) {
  if (!(options.budget >= 0.0 && options.budget <= 1.0))  // also refuses NaN
    return InvalidField("options.budget", absl::StrCat("must be between 0 and 1, got ", options.budget));
  if (options.seam_tokens < 0)
    return InvalidField("options.seam_tokens",
                        absl::StrCat("must not be negative, got ", options.seam_tokens));
  if (!(options.follow >= 0.0 && options.follow < 1.0))
    return InvalidField("options.follow",
                        absl::StrCat("must be between 0 and 1 (exclusive), got ", options.follow));
  if (!(options.coverage > 0.0 && options.coverage <= 1.0))
    return InvalidField("options.coverage",
                        absl::StrCat("must be between 0 (exclusive) and 1, got ", options.coverage));
  if (!(options.depth > 0.0 && options.depth <= 1.0))
    return InvalidField("options.depth",
                        absl::StrCat("must be between 0 (exclusive) and 1, got ", options.depth));
  if (!(options.stale_shift >= 0.0 && options.stale_shift <= 1.0))
    return InvalidField("options.stale_shift",
                        absl::StrCat("must be between 0 and 1, got ", options.stale_shift));
  if (!(options.stale_weight > 0.0 && options.stale_weight <= 1.0))
    return InvalidField("options.stale_weight",
                        absl::StrCat("must be between 0 (exclusive) and 1, got ", options.stale_weight));
  if (options.window < 1 || options.window > SelectionOptions::kMaxWindow)
    return InvalidField("options.window", absl::StrCat("must be between 1 and ", SelectionOptions::kMaxWindow,
                                                       ", got ", options.window));
  if (options.paper_min_candidates < 1 || options.paper_min_candidates > options.window)
    return InvalidField("options.paper_min_candidates",
                        absl::StrCat("must be between 1 and the window of ", options.window, ", got ",
                                     options.paper_min_candidates));
  return absl::OkStatus();
}

absl::StatusOr<Selectable> FindSelectable(const ContextMap& map, const SelectionOptions& options) {
  CACHECLIP_RETURN_IF_ERROR(ValidateSelectionOptions(options));
  CACHECLIP_RETURN_IF_ERROR(map.Validate());
  Selectable selectable;
  int32_t num_selectable = 0;
  const bool take_first = options.first_chunk_selectable || options.budget >= 1.0;
  const std::vector<IndexRange> chunks = map.Chunks();
  for (size_t c = take_first ? 0 : 1; c < chunks.size(); ++c) {
    if (chunks[c].size() == 0) continue;
    selectable.chunks.push_back(chunks[c]);
    num_selectable += chunks[c].size();
  }
  selectable.budget_tokens = std::min(num_selectable, BudgetTokens(options.budget, map.num_tokens()));
  return selectable;
}

std::vector<int32_t> HeadLengths(std::span<const IndexRange> chunks, int32_t num_tokens,
                                 int32_t max_per_chunk) {
  std::vector<int32_t> heads(chunks.size(), 0);
  int32_t left = num_tokens;
  while (left > 0) {
    std::vector<size_t> open;
    for (size_t c = 0; c < chunks.size(); ++c)
      if (heads[c] < std::min(chunks[c].size(), max_per_chunk)) open.push_back(c);
    if (open.empty()) break;
    const int32_t step = std::max<int32_t>(1, left / static_cast<int32_t>(open.size()));
    for (const size_t c : open) {
      const int32_t taken = std::min({step, left, std::min(chunks[c].size(), max_per_chunk) - heads[c]});
      heads[c] += taken;
      left -= taken;
    }
  }
  return heads;
}

}  // namespace cacheclip
