#include "common/text/token_alignment.h"

#include <algorithm>
#include <cstdint>

#include "common/base/logging.h"

namespace cacheclip {
namespace {

// The chosen bytes as disjoint intervals in ascending order.
std::vector<TokenSpan> Merge(std::span<const TokenSpan> spans) {
  std::vector<TokenSpan> sorted;
  for (const TokenSpan& span : spans) {
    if (!span.empty()) sorted.push_back(span);
  }
  std::ranges::sort(sorted, {}, &TokenSpan::begin);
  std::vector<TokenSpan> merged;
  for (const TokenSpan& span : sorted) {
    if (!merged.empty() && span.begin <= merged.back().end) {
      merged.back().end = std::max(merged.back().end, span.end);
    } else {
      merged.push_back(span);
    }
  }
  return merged;
}

struct ScoredSpan {
  TokenSpan span;
  float score;
  uint32_t max_end;  // of this and all earlier spans: how far back an overlap can start
};

std::vector<ScoredSpan> SortedScores(std::span<const TokenSpan> spans, std::span<const float> scores) {
  std::vector<ScoredSpan> sorted;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (!spans[i].empty()) sorted.push_back({spans[i], scores[i], 0});
  }
  std::ranges::stable_sort(sorted, {}, [](const ScoredSpan& entry) { return entry.span.begin; });
  uint32_t max_end = 0;
  for (ScoredSpan& entry : sorted) entry.max_end = max_end = std::max(max_end, entry.span.end);
  return sorted;
}

float Pool(const std::vector<ScoredSpan>& from, TokenSpan to, ScorePooling pooling) {
  auto entry = std::ranges::upper_bound(from, to.begin, {}, &ScoredSpan::max_end);
  double strongest = 0, weighted = 0, total_bytes = 0;
  for (; entry != from.end() && entry->span.begin < to.end; ++entry) {
    const uint32_t begin = std::max(entry->span.begin, to.begin), end = std::min(entry->span.end, to.end);
    if (begin >= end) continue;
    strongest = total_bytes == 0 ? entry->score : std::max<double>(strongest, entry->score);
    weighted += static_cast<double>(entry->score) * (end - begin);
    total_bytes += end - begin;
  }
  if (total_bytes == 0) return 0;
  return static_cast<float>(pooling == ScorePooling::kMax ? strongest : weighted / total_bytes);
}

}  // namespace

std::vector<int> TokensOverlapping(std::span<const TokenSpan> tokens, std::span<const TokenSpan> chosen) {
  const std::vector<TokenSpan> intervals = Merge(chosen);
  std::vector<int> overlapping;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].empty()) continue;
    const auto interval = std::ranges::upper_bound(intervals, tokens[i].begin, {}, &TokenSpan::end);
    if (interval != intervals.end() && interval->begin < tokens[i].end)
      overlapping.push_back(static_cast<int>(i));
  }
  return overlapping;
}

std::vector<float> TransferScores(std::span<const TokenSpan> from, std::span<const float> from_scores,
                                  std::span<const TokenSpan> to, ScorePooling pooling) {
  CACHECLIP_CHECK(from.size() == from_scores.size())
      << from.size() << " spans, " << from_scores.size() << " scores";
  const std::vector<ScoredSpan> sorted = SortedScores(from, from_scores);
  std::vector<float> scores;
  scores.reserve(to.size());
  for (const TokenSpan& span : to) scores.push_back(span.empty() ? 0.0f : Pool(sorted, span, pooling));
  return scores;
}

}  // namespace cacheclip
