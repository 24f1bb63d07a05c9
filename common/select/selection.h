// From scores to the exact set of tokens to recompute. Select() is a pure function: one score per context
// token in, sorted indices out; it never sees a model or a tensor and does not know who scored.
//
//   SelectionOptions options{.budget = 0.2};
//   CACHECLIP_ASSIGN_OR_RETURN(RecomputeSet set, Select(map, scores, options));
//
// The budget counts tokens of ALL chunks, the first included, yet the first chunk is only selected when
// `first_chunk_selectable` or the budget is 1: behind its own prefix its cache is exact where it stands.
// Every grouping but kPaperWindows returns exactly BudgetTokens() indices, fewer only where fewer are
// selectable or `coverage` is reached before; none returns more. Groups never cross a chunk end; the last
// group is cut to its best contiguous part. Equal scores: the lower index wins. Higher score = recompute
// first; for non-negative scores more budget never means less score mass (but where two kinds
// of groups are mixed). Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "common/select/context_map.h"
#include "common/select/quality.h"

namespace cacheclip {

enum class Grouping {
  kBudgetExactWindows,   // greedy over overlapping windows by the score they still add
  kPaperWindows,         // windows holding enough of the top tokens; may spend less than the budget
  kTokens,               // the single best tokens
  kSegments,             // segments of the text (sentences) by mean score
  kWindowsThenSegments,  // budget-exact windows for half of the budget, segments for the rest. Segments of
                         // which windows or seams took a part count with it: they are completed
};

inline bool NeedsSegments(Grouping grouping) {
  return grouping == Grouping::kSegments || grouping == Grouping::kWindowsThenSegments;
}

struct SelectionOptions {
  // Share of all chunk tokens that may be recomputed, 0 … 1. 1 selects everything, the first chunk included.
  double budget = kDefaultBudget;
  // True where the first chunk is not served right behind the prefix it was encoded with.
  bool first_chunk_selectable = false;
  // The first so many tokens of each selectable chunk are taken first, for half of the budget at most: facts
  // cut by a seam, and tokens that attract attention as the beginning of a text.
  int seam_tokens = 0;
  Grouping grouping = Grouping::kBudgetExactWindows;
  // Share of a token's score that its successor in the chunk is credited with, and so on, 0 … 1 (exclusive).
  // A question attends to the words it shares with the answer's sentence; the answer stands behind them.
  double follow = 0;
  // Groups are taken until they hold this share of the selectable tokens' score, 0 (exclusive) … 1: below 1 a
  // question whose attention is concentrated spends less than the budget, and chunks that hold none of them
  // get no seam tokens either. Scores must then not be negative.
  double coverage = 1;
  // Share of the model's layers, from the first on, in which chosen tokens are computed anew, 0 (exclusive) …
  // 1; in the others their stored KV stays. Below 1 the same budget pays for more tokens. Seen to by the
  // planner: Select() counts tokens.
  double depth = 1;
  // What attention weights on tokens that stay stale are multiplied by, at least, 0 (exclusive) … 1: see
  // StaleAttentionWeight(). Select() does not use it.
  double stale_weight = 1;
  // Share of what recomputing changed in chosen tokens by which tokens like them that stay stale are moved,
  // 0 … 1 (docs/adr/0020). Select() does not use it.
  double stale_shift = 0;
  // Whether local heads of chosen tokens leave out what stands far from them (docs/adr/0024). Select() does
  // not use it.
  bool local_heads = false;
  // Whether chosen tokens and the question multiply their queries with keys in int8 where the machine is
  // faster so (docs/adr/0026). Select() does not use it.
  bool int8_scores = false;
  // Tokens per window (both window groupings), 1 … kMaxWindow. A shorter chunk is one window.
  int window = 8;
  // kPaperWindows: a window is taken if it holds at least so many of the top `budget` tokens; 1 … window.
  int paper_min_candidates = 5;

  static constexpr int kMaxWindow = 64;
};

struct RecomputeSet {
  std::vector<int32_t> indices;  // sorted, unique, relative to the first chunk token
  int32_t num_context_tokens = 0;

  // Realised share of the context; the charged budget of a method that recomputes these in every layer.
  double realised_ratio() const;
};

// The largest n with n / num_tokens <= budget: floor(budget * num_tokens) without its rounding surprises.
int32_t BudgetTokens(double budget, int32_t num_tokens);

// INVALID_ARGUMENT naming "options.budget", "options.window", …; also called by Select().
absl::Status ValidateSelectionOptions(const SelectionOptions& options);

// `scores`: [map.num_tokens()], finite where selectable. `segment_begins` (kSegments only): sorted indices at
// which a segment begins; chunk begins are implied.
absl::StatusOr<RecomputeSet> Select(const ContextMap& map, std::span<const float> scores,
                                    const SelectionOptions& options,
                                    std::span<const int32_t> segment_begins = {});

}  // namespace cacheclip
