#include "common/select/selection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/select/fixed_selectors.h"
#include "common/select/greedy_groups.h"
#include "common/select/selectable.h"

namespace cacheclip {
namespace {

absl::Status CheckScores(std::span<const float> scores, int32_t num_tokens, const Selectable& selectable) {
  if (scores.size() != static_cast<size_t>(num_tokens))
    return InvalidField("scores", absl::StrCat(scores.size(), " scores for ", num_tokens, " context tokens"));
  for (const IndexRange& chunk : selectable.chunks)
    for (int32_t i = chunk.begin; i < chunk.end; ++i)
      if (!std::isfinite(scores[i]))
        return InvalidField("scores", absl::StrCat("the score of token ", i, " is ", scores[i]));
  return absl::OkStatus();
}

std::vector<float> CreditSuccessors(std::span<const float> scores, const std::vector<IndexRange>& chunks,
                                    double follow) {
  std::vector<float> credited(scores.begin(), scores.end());
  for (const IndexRange& chunk : chunks)
    for (int32_t i = chunk.begin + 1; i < chunk.end; ++i)
      credited[i] += static_cast<float>(follow) * credited[i - 1];
  return credited;
}

double SumOf(std::span<const float> scores, const std::vector<IndexRange>& chunks) {
  double sum = 0;
  for (const IndexRange& chunk : chunks)
    for (int32_t i = chunk.begin; i < chunk.end; ++i) sum += scores[i];
  return sum;
}

// Every run of `window` neighbours inside a chunk; a shorter chunk is one window.
std::vector<IndexRange> SlidingWindows(const std::vector<IndexRange>& chunks, int32_t window) {
  std::vector<IndexRange> windows;
  for (const IndexRange& chunk : chunks) {
    const int32_t width = std::min(window, chunk.size());
    for (int32_t begin = chunk.begin; begin + width <= chunk.end; ++begin)
      windows.push_back({begin, begin + width});
  }
  return windows;
}

// The sliding windows that hold at least `min_candidates` of the `num_candidates` best tokens.
std::vector<IndexRange> PaperWindows(const Selectable& selectable, std::span<const float> scores,
                                     const SelectionOptions& options) {
  std::vector<int32_t> order;
  for (const IndexRange& chunk : selectable.chunks)
    for (int32_t i = chunk.begin; i < chunk.end; ++i) order.push_back(i);
  std::nth_element(
      order.begin(), order.begin() + selectable.budget_tokens, order.end(),
      [&](int32_t a, int32_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
  std::vector<int32_t> candidates_before(scores.size() + 1, 0);  // [i] = candidates among the indices below i
  for (int32_t i = 0; i < selectable.budget_tokens; ++i) candidates_before[order[i] + 1] = 1;
  for (size_t i = 1; i < candidates_before.size(); ++i) candidates_before[i] += candidates_before[i - 1];

  std::vector<IndexRange> windows = SlidingWindows(selectable.chunks, options.window);
  std::erase_if(windows, [&](const IndexRange& w) {
    return candidates_before[w.end] - candidates_before[w.begin] < options.paper_min_candidates;
  });
  return windows;
}

// The selectable chunks cut at the given begins.
absl::StatusOr<std::vector<IndexRange>> Segments(const std::vector<IndexRange>& chunks,
                                                 std::span<const int32_t> segment_begins) {
  if (!std::is_sorted(segment_begins.begin(), segment_begins.end()))
    return InvalidField("segment_begins", "must be sorted");
  std::vector<IndexRange> segments;
  for (const IndexRange& chunk : chunks) {
    int32_t begin = chunk.begin;
    auto next = std::upper_bound(segment_begins.begin(), segment_begins.end(), begin);
    for (; next != segment_begins.end() && *next < chunk.end; ++next) {
      if (*next == begin) continue;
      segments.push_back({begin, *next});
      begin = *next;
    }
    segments.push_back({begin, chunk.end});
  }
  return segments;
}

void TakeSeams(const Selectable& selectable, int32_t seam_tokens, GreedyGroups& groups) {
  // Not more than half of the budget: a small one is better spent where the question looks.
  const std::vector<int32_t> heads =
      HeadLengths(selectable.chunks, selectable.budget_tokens / 2, seam_tokens);
  for (size_t c = 0; c < heads.size(); ++c) {
    const int32_t begin = selectable.chunks[c].begin;
    groups.Take({begin, begin + heads[c]});
  }
}

// The groups of `selectable` that are worth most, up to a sum of `enough`, seams first.
absl::StatusOr<std::vector<int32_t>> ChooseGroups(const Selectable& selectable, std::span<const float> scores,
                                                  const SelectionOptions& options, int seam_tokens,
                                                  double enough, std::span<const int32_t> segment_begins) {
  GreedyGroups groups(scores, selectable.budget_tokens);
  TakeSeams(selectable, seam_tokens, groups);
  switch (options.grouping) {
    case Grouping::kBudgetExactWindows:
      groups.Choose(SlidingWindows(selectable.chunks, options.window), GroupValue::kSum, enough);
      break;
    case Grouping::kPaperWindows:
      groups.Choose(PaperWindows(selectable, scores, options), GroupValue::kSum, enough);
      break;
    case Grouping::kTokens:
      groups.Choose(SlidingWindows(selectable.chunks, 1), GroupValue::kSum, enough);
      break;
    case Grouping::kWindowsThenSegments:
      groups.Choose(SlidingWindows(selectable.chunks, options.window), GroupValue::kSum, enough,
                    selectable.budget_tokens / 2);
      [[fallthrough]];
    case Grouping::kSegments: {
      CACHECLIP_ASSIGN_OR_RETURN(auto segments, Segments(selectable.chunks, segment_begins));
      groups.Choose(std::move(segments), GroupValue::kMean, enough);
      break;
    }
  }
  return groups.ChosenIndices();
}

// Leaves only the chunks that hold one of `indices`.
void KeepChunksWith(std::span<const int32_t> indices, Selectable& selectable) {
  std::erase_if(selectable.chunks, [&](const IndexRange& chunk) {
    const auto first = std::ranges::lower_bound(indices, chunk.begin);
    return first == indices.end() || *first >= chunk.end;
  });
  int32_t num_left = 0;
  for (const IndexRange& chunk : selectable.chunks) num_left += chunk.size();
  selectable.budget_tokens = std::min(selectable.budget_tokens, num_left);
}

}  // namespace

absl::StatusOr<RecomputeSet> Select(const ContextMap& map, std::span<const float> scores,
                                    const SelectionOptions& options,
                                    std::span<const int32_t> segment_begins) {
  CACHECLIP_ASSIGN_OR_RETURN(Selectable selectable, FindSelectable(map, options));
  const int32_t num_tokens = map.num_tokens();
  CACHECLIP_RETURN_IF_ERROR(CheckScores(scores, num_tokens, selectable));
  if (options.budget >= 1.0) return SelectAll(map);

  std::vector<float> credited;
  if (options.follow > 0) {
    credited = CreditSuccessors(scores, selectable.chunks, options.follow);
    scores = credited;
  }
  double enough = std::numeric_limits<double>::infinity();
  if (options.coverage < 1) {
    // A seam is worth its tokens only where the question looks at the chunk behind it.
    enough = options.coverage * SumOf(scores, selectable.chunks);
    CACHECLIP_ASSIGN_OR_RETURN(const std::vector<int32_t> looked_at,
                               ChooseGroups(selectable, scores, options, 0, enough, segment_begins));
    KeepChunksWith(looked_at, selectable);
  }
  CACHECLIP_ASSIGN_OR_RETURN(
      std::vector<int32_t> indices,
      ChooseGroups(selectable, scores, options, options.seam_tokens, enough, segment_begins));
  return RecomputeSet{std::move(indices), num_tokens};
}

}  // namespace cacheclip
