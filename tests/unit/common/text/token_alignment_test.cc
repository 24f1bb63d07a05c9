#include "common/text/token_alignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace cacheclip {
namespace {

using testing::ElementsAre;

TEST(TokenAlignment, ChoosesEveryTokenThatOverlaps) {
  const std::vector<TokenSpan> tokens{{0, 3}, {3, 7}, {7, 8}, {8, 12}};
  EXPECT_THAT(TokensOverlapping(tokens, std::vector<TokenSpan>{{6, 8}}), ElementsAre(1, 2));
  EXPECT_THAT(TokensOverlapping(tokens, std::vector<TokenSpan>{{10, 11}, {0, 1}}), ElementsAre(0, 3));
}

TEST(TokenAlignment, ZeroWidthIsNeverChosen) {
  const std::vector<TokenSpan> tokens{{0, 3}, {2, 2}, {3, 3}, {3, 4}};
  EXPECT_THAT(TokensOverlapping(tokens, std::vector<TokenSpan>{{0, 4}}), ElementsAre(0, 3));
  EXPECT_THAT(TokensOverlapping(tokens, std::vector<TokenSpan>{{1, 1}}), ElementsAre());
}

TEST(TokenAlignment, PiecesOfOneCharacterAreChosenTogether) {
  const std::vector<TokenSpan> tokens{{0, 4}, {0, 4}, {0, 4}, {4, 5}};
  EXPECT_THAT(TokensOverlapping(tokens, std::vector<TokenSpan>{{0, 4}}), ElementsAre(0, 1, 2));
}

TEST(TokenAlignment, ScoresPoolOverTheOverlap) {
  const std::vector<TokenSpan> from{{0, 4}, {4, 6}, {6, 6}, {6, 10}};
  const std::vector<float> scores{1, 4, 100, -2};
  const std::vector<TokenSpan> to{{0, 6}, {3, 5}, {8, 9}, {10, 12}, {5, 5}};
  EXPECT_THAT(TransferScores(from, scores, to), ElementsAre(4, 4, -2, 0, 0));
  EXPECT_THAT(TransferScores(from, scores, to, ScorePooling::kOverlapMean), ElementsAre(2, 2.5, -2, 0, 0));
}

TEST(TokenAlignment, EqualTokenisationsKeepTheirScores) {
  const std::vector<TokenSpan> spans{{0, 3}, {4, 7}, {7, 9}};
  const std::vector<float> scores{0.5f, 0.25f, 2};
  EXPECT_THAT(TransferScores(spans, scores, spans), ElementsAre(0.5f, 0.25f, 2));
}

// A random cut of [0, size) into tokens of 1 to 6 bytes.
std::vector<TokenSpan> RandomTokens(std::mt19937& random, uint32_t size) {
  std::vector<TokenSpan> tokens;
  for (uint32_t begin = 0; begin < size;) {
    const uint32_t end = std::min<uint32_t>(size, begin + 1 + random() % 6);
    tokens.push_back({begin, end});
    begin = end;
  }
  return tokens;
}

TEST(TokenAlignment, EveryChosenByteIsCoveredAndNoTokenWithoutOverlapIsChosen) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    const auto from = RandomTokens(random, 100), to = RandomTokens(random, 100);
    std::vector<TokenSpan> chosen;
    std::string wanted(100, '.'), covered(100, '.');
    for (const TokenSpan& span : from) {
      if (random() % 4 != 0) continue;
      chosen.push_back(span);
      for (uint32_t i = span.begin; i < span.end; ++i) wanted[i] = 'x';
    }
    std::shuffle(chosen.begin(), chosen.end(), random);
    for (const int index : TokensOverlapping(to, chosen)) {
      const TokenSpan span = to[index];
      EXPECT_NE(wanted.substr(span.begin, span.end - span.begin).find('x'), std::string::npos);
      for (uint32_t i = span.begin; i < span.end; ++i) covered[i] = 'x';
    }
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(wanted[i] == '.' || covered[i] == 'x') << "byte " << i;
  }
}

}  // namespace
}  // namespace cacheclip
