// Carries a choice or scores from one tokenisation of a text to another of the same text (auxiliary and
// primary model with different vocabularies), through byte spans. Zero-width spans stand for no text: never
// chosen, score 0. Pure functions; spans may come in any order. O((n + m) log m).
#pragma once

#include <span>
#include <vector>

#include "common/base/token_span.h"

namespace cacheclip {

// Indices, ascending, of the `tokens` that overlap any of `chosen`: every chosen byte that some token covers
// is covered.
std::vector<int> TokensOverlapping(std::span<const TokenSpan> tokens, std::span<const TokenSpan> chosen);

enum class ScorePooling {
  kMax,          // the strongest overlapping score: a phrase is as strong as its strongest piece
  kOverlapMean,  // mean of the overlapping scores, weighted by the bytes they share
};

// One score per entry of `to`: the pooled scores of the `from` tokens that overlap it, 0 where none does.
// from_scores.size() == from.size().
std::vector<float> TransferScores(std::span<const TokenSpan> from, std::span<const float> from_scores,
                                  std::span<const TokenSpan> to, ScorePooling pooling = ScorePooling::kMax);

}  // namespace cacheclip
