#include "common/text/sentence_breaks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/demo_model.h"
#include "tests/unit/common/text/text_test_data.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;

// The sentences of each text, as they were told apart.
std::vector<std::string> Sentences(const std::shared_ptr<const Tokenizer>& tokenizer,
                                   const std::vector<std::string>& texts) {
  std::vector<std::vector<int32_t>> chunks;
  std::vector<int32_t> all;
  for (const std::string& text : texts) {
    chunks.push_back(tokenizer->Encode(text, Tokenizer::SpecialTokens::kAsText)->ids);
    all.insert(all.end(), chunks.back().begin(), chunks.back().end());
  }
  std::vector<int32_t> begins = SentenceBreaks(tokenizer).Begins(chunks);
  begins.push_back(static_cast<int32_t>(all.size()));
  std::vector<std::string> sentences;
  for (size_t i = 0; i + 1 < begins.size(); ++i)
    sentences.push_back(
        *tokenizer->Decode(std::span(all).subspan(begins[i], begins[i + 1] - begins[i]), false));
  return sentences;
}

TEST(SentenceBreaks, TellSentencesApart) {
  EXPECT_THAT(Sentences(TinyTokenizer(), {"It rains. Does it? Yes! Good."}),
              ElementsAre("It rains.", " Does it?", " Yes!", " Good."));
}

TEST(SentenceBreaks, LeaveNumbersAndNamesWhole) {
  EXPECT_THAT(Sentences(TinyTokenizer(), {"It costs 3.14 a pound at shop.example.org now. Fine."}),
              ElementsAre("It costs 3.14 a pound at shop.example.org now.", " Fine."));
}

TEST(SentenceBreaks, LookBehindClosingQuotes) {
  EXPECT_THAT(Sentences(TinyTokenizer(), {"\"It rains.\" (So he said.) Then he left."}),
              ElementsAre("\"It rains.\"", " (So he said.)", " Then he left."));
}

TEST(SentenceBreaks, BreakAtEveryLine) {
  EXPECT_THAT(Sentences(TinyTokenizer(), {"# Title\n\nFirst line\nsecond line"}),
              ElementsAre("# Title\n\n", "First line\n", "second line"));
}

TEST(SentenceBreaks, BeginWithEveryChunk) {
  EXPECT_THAT(Sentences(TinyTokenizer(), {"The code of the", "room is 12. Yes."}),
              ElementsAre("The code of the", "room is 12.", " Yes."));
  EXPECT_TRUE(SentenceBreaks(TinyTokenizer()).Begins({}).empty());
}

TEST(SentenceBreaks, CutWhatNeverEnds) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "word ";
  const auto tokenizer = TinyTokenizer();
  const std::vector<std::vector<int32_t>> chunk = {
      tokenizer->Encode(text, Tokenizer::SpecialTokens::kAsText)->ids};
  std::vector<int32_t> begins = SentenceBreaks(tokenizer).Begins(chunk);
  begins.push_back(static_cast<int32_t>(chunk[0].size()));
  EXPECT_GT(begins.size(), 5);
  for (size_t i = 0; i + 1 < begins.size(); ++i)
    EXPECT_LE(begins[i + 1] - begins[i], SentenceBreaks::kMaxSentenceTokens);
}

TEST(SentenceBreaks, KnowTheDemoModelsTokens) {
  const std::optional<std::string> directory = DemoModelDirectory();
  if (!directory.has_value()) GTEST_SKIP() << kDemoModelMissing;
  EXPECT_THAT(Sentences(*Tokenizer::Load(*directory), {"It rains. Does it?\nYes, 2.5 mm."}),
              ElementsAre("It rains.", " Does it?\n", "Yes, 2.5 mm."));
}

}  // namespace
}  // namespace cacheclip
