#include "common/text/token_counter.h"

#include <gtest/gtest.h>

#include "tests/unit/common/text/text_test_data.h"

namespace cacheclip {
namespace {

class TokenCounterTest : public testing::Test {
 protected:
  std::shared_ptr<const Tokenizer> tokenizer_ = TinyTokenizer();
  int Tokens(std::string_view text) {
    return static_cast<int>(tokenizer_->Encode(text, Tokenizer::SpecialTokens::kAsText)->ids.size());
  }
};

TEST_F(TokenCounterTest, WholeTextCountsAsItsTokens) {
  const std::string text = "The lighthouse was completed in 1887. It has a red lamp.";
  const TokenCounter counter = *TokenCounter::Create(*tokenizer_, text);
  EXPECT_EQ(counter.Count(0, text.size()), Tokens(text));
  EXPECT_EQ(counter.Count(5, 5), 0);
}

TEST_F(TokenCounterTest, PartsAddUpToTheWhole) {
  const std::string text = "One ferry leaves at nine. Another leaves at noon, and a third at dusk.";
  const TokenCounter counter = *TokenCounter::Create(*tokenizer_, text);
  for (size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(counter.Count(0, cut) + counter.Count(cut, text.size()), counter.Count(0, text.size()));
}

TEST_F(TokenCounterTest, AdvanceFindsWhereATokenStarts) {
  const std::string text = "One ferry leaves at nine. Another leaves at noon.";
  const TokenCounter counter = *TokenCounter::Create(*tokenizer_, text);
  for (int count = 0; count < counter.Count(0, text.size()); ++count)
    EXPECT_EQ(counter.Count(0, counter.Advance(0, count)), count);
  EXPECT_EQ(counter.Advance(0, 10000), text.size());
}

TEST_F(TokenCounterTest, AWordLongerThanAWindowIsCounted) {
  const std::string word(3 * kCountWindowBytes, 'x');
  const TokenCounter counter = *TokenCounter::Create(*tokenizer_, word);
  EXPECT_GT(counter.Count(0, word.size()), 0);
  EXPECT_EQ(counter.Advance(0, counter.Count(0, word.size())), word.size());
}

}  // namespace
}  // namespace cacheclip
