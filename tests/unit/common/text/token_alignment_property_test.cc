// What holds for the way from one tokenisation to another whatever the text: texts of many scripts, and
// random pieces of them that tear marks from their letters, under tokenizers of three kinds and the demo
// model's own.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/text/token_alignment.h"
#include "common/text/tokenizer.h"
#include "tests/support/demo_model.h"
#include "tests/support/other_tokenizers.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/common/text/text_test_data.h"

namespace cacheclip {
namespace {

// Latin with and without precomposed letters, Han, kana, Hangul, Arabic with vowel marks, Hebrew, Devanagari
// with conjuncts, Thai, Cyrillic; emoji joined, flagged and toned; ligatures, full width, stacked marks,
// white space.
constexpr const char* kTexts[] = {
    "The keeper of the lighthouse writes the hour in a blue book.",
    "Die Fähre fährt jeden Morgen; das Fräulein grüßt höflich, naïve cafés à la carte.",
    "cafe\u0301 and nai\u0308ve: the accents stand alone; Việt Nam, Tie\u0302\u0301ng Vie\u0323\u0302t",
    "灯塔是用灰色花岗岩建造的。港は西に開いている。등대는 바다에 있다.",
    "المنارة في الميناء؛ بُنِيَتْ مِنَ الحَجَر. שָׁלוֹם עולם",
    "नमस्ते, समुद्र में क्षत्रिय और श्री हैं। สวัสดีครับ ที่นี่",
    "Маяк построен из серого гранита, и море видно на юге.",
    "Smiles 🙂 families 👨‍👩‍👧‍👦 flags 🇳🇴🇯🇵 tones 👍🏽 hearts ❤️ keys "
    "1️⃣",
    "ﬁne ﬂow ㎏ Ｆｕｌｌ ｗｉｄｔｈ ① ½ ™ Å Ω",
    "Z\u0351\u036B\u0343a\u0348\u0353\u0301l\u0321\u0353go \u200B\u200D\u00AD\uFEFF end",
    "  two  spaces\tand\r\nlines\n\n\u00A0\u3000\u2028 here  ",
    "x = [1, 2.5e-3]; // 100 % of 2048\nprint(\"a_b\")",
};
constexpr int kRandomTexts = 60;

struct NamedTokenizer {
  std::string name;
  std::shared_ptr<const Tokenizer> tokenizer;
};

std::shared_ptr<const Tokenizer> Made(void (*make)(const std::string&)) {
  const TempFolder folder;
  make(folder.path());
  const auto tokenizer = Tokenizer::Load(folder.path());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *tokenizer;
}

const std::vector<NamedTokenizer>& Tokenizers() {
  static const auto* tokenizers = [] {
    auto* all = new std::vector<NamedTokenizer>{{"byte-level BPE", TinyTokenizer()},
                                                {"SentencePiece", Made(MakeSentencePieceTokenizer)},
                                                {"WordPiece", Made(MakeWordPieceTokenizer)}};
    if (const auto directory = DemoModelDirectory())
      all->push_back({"demo model", Tokenizer::Load(*directory).value()});
    return all;
  }();
  return *tokenizers;
}

bool IsCharacterBorder(const std::string& text, size_t at) {
  return at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
}

// The texts themselves, and runs of their characters put together at random.
std::vector<std::string> Texts() {
  std::vector<std::string> texts(std::begin(kTexts), std::end(kTexts));
  std::mt19937 random(17);
  const size_t num_whole = texts.size();
  for (int i = 0; i < kRandomTexts; ++i) {
    std::string mixed;
    for (int piece = 0; piece < 6; ++piece) {
      const std::string& source = texts[random() % num_whole];
      size_t begin = random() % source.size(), end = begin + random() % 24;
      end = std::min(end, source.size());
      while (!IsCharacterBorder(source, begin)) --begin;
      while (!IsCharacterBorder(source, end)) ++end;
      mixed += source.substr(begin, end - begin);
    }
    texts.push_back(mixed);
  }
  return texts;
}

std::vector<TokenSpan> SpansOf(const Tokenizer& tokenizer, const std::string& text) {
  const auto encoding = tokenizer.Encode(text, Tokenizer::SpecialTokens::kAsText);
  EXPECT_TRUE(encoding.ok()) << encoding.status();
  EXPECT_EQ(encoding->ids.size(), encoding->spans.size());
  return encoding->spans;
}

bool Overlap(const TokenSpan& one, const TokenSpan& other) {
  return std::max(one.begin, other.begin) < std::min(one.end, other.end);
}

std::vector<bool> Covered(const std::vector<TokenSpan>& spans, size_t num_bytes) {
  std::vector<bool> covered(num_bytes, false);
  for (const TokenSpan& span : spans)
    for (uint32_t i = span.begin; i < span.end; ++i) covered[i] = true;
  return covered;
}

struct Pair {
  std::string text;
  std::vector<TokenSpan> from, to;
  std::string description;
};

// Every text under every ordered pair of tokenizers, equal ones included.
template <typename Check>
void ForEachPair(const Check& check) {
  for (const std::string& text : Texts()) {
    for (const NamedTokenizer& from : Tokenizers()) {
      for (const NamedTokenizer& to : Tokenizers()) {
        const Pair pair{text, SpansOf(*from.tokenizer, text), SpansOf(*to.tokenizer, text),
                        from.name + " to " + to.name + ": " + text};
        SCOPED_TRACE(pair.description);
        check(pair);
        if (testing::Test::HasFailure()) return;  // one text is enough to look at
      }
    }
  }
}

// A score per token that no two tokens share, in no order of the text.
std::vector<float> SomeScores(size_t count) {
  std::vector<float> scores(count);
  for (size_t i = 0; i < count; ++i) scores[i] = static_cast<float>(i + 1);
  std::mt19937 random(5);
  std::shuffle(scores.begin(), scores.end(), random);
  return scores;
}

TEST(TokenAlignmentProperty, TheTokenizersReallyDiffer) {
  const std::string text = kTexts[1];
  for (size_t i = 0; i < Tokenizers().size(); ++i)
    for (size_t j = 0; j < i; ++j)
      EXPECT_NE(SpansOf(*Tokenizers()[i].tokenizer, text), SpansOf(*Tokenizers()[j].tokenizer, text));
}

TEST(TokenAlignmentProperty, SpansAreInOrderInsideTheTextAndOnCharacterBorders) {
  for (const std::string& text : Texts()) {
    for (const NamedTokenizer& entry : Tokenizers()) {
      SCOPED_TRACE(entry.name + ": " + text);
      TokenSpan before;
      for (const TokenSpan& span : SpansOf(*entry.tokenizer, text)) {
        ASSERT_LE(span.begin, span.end);
        ASSERT_LE(span.end, text.size());
        ASSERT_TRUE(IsCharacterBorder(text, span.begin) && IsCharacterBorder(text, span.end));
        if (span.empty()) continue;
        ASSERT_TRUE(span.begin >= before.begin && span.end >= before.end) << "tokens out of order";
        before = span;
      }
    }
  }
}

TEST(TokenAlignmentProperty, EachTokenMapsToExactlyTheTokensThatShareItsBytes) {
  ForEachPair([](const Pair& pair) {
    for (const TokenSpan& chosen : pair.from) {
      std::vector<int> expected;
      for (size_t i = 0; i < pair.to.size(); ++i)
        if (Overlap(chosen, pair.to[i])) expected.push_back(static_cast<int>(i));
      ASSERT_EQ(TokensOverlapping(pair.to, std::vector<TokenSpan>{chosen}), expected)
          << chosen.begin << " to " << chosen.end;
    }
  });
}

TEST(TokenAlignmentProperty, EveryChosenByteThatTheOtherCoversIsCovered) {
  std::mt19937 random(23);
  ForEachPair([&](const Pair& pair) {
    std::vector<TokenSpan> chosen, mapped;
    for (const TokenSpan& span : pair.from)
      if (random() % 3 == 0) chosen.push_back(span);
    const std::vector<int> indices = TokensOverlapping(pair.to, chosen);
    ASSERT_TRUE(std::ranges::is_sorted(indices));
    ASSERT_EQ(std::ranges::adjacent_find(indices), indices.end()) << "a token twice";
    for (const int index : indices) mapped.push_back(pair.to.at(static_cast<size_t>(index)));
    const size_t size = pair.text.size();
    const auto wanted = Covered(chosen, size), reachable = Covered(pair.to, size),
               covered = Covered(mapped, size);
    for (size_t i = 0; i < size; ++i) ASSERT_TRUE(!wanted[i] || !reachable[i] || covered[i]) << "byte " << i;
  });
}

float StrongestOverlap(const std::vector<TokenSpan>& from, const std::vector<float>& scores,
                       const TokenSpan& to) {
  float strongest = 0;  // scores here are positive
  for (size_t i = 0; i < from.size(); ++i)
    if (Overlap(from[i], to)) strongest = std::max(strongest, scores[i]);
  return strongest;
}

// The strongest of what overlaps: nothing that another token covers gets lost, nothing appears from nowhere.
TEST(TokenAlignmentProperty, AScoreArrivesAtEveryTokenThatOverlapsAndAtNoOther) {
  ForEachPair([](const Pair& pair) {
    const std::vector<float> scores = SomeScores(pair.from.size());
    const std::vector<float> moved = TransferScores(pair.from, scores, pair.to);
    ASSERT_EQ(moved.size(), pair.to.size());
    for (size_t i = 0; i < pair.to.size(); ++i)
      ASSERT_EQ(moved[i], StrongestOverlap(pair.from, scores, pair.to[i])) << "token " << i;
  });
}

// Tokens of both at once, in no order: some lie inside others.
TEST(TokenAlignmentProperty, NeitherOrderNorNestingOfTokensMatters) {
  std::mt19937 random(31);
  ForEachPair([&](const Pair& pair) {
    std::vector<TokenSpan> both = pair.from;
    both.insert(both.end(), pair.to.begin(), pair.to.end());
    std::shuffle(both.begin(), both.end(), random);
    const std::vector<float> scores = SomeScores(both.size());
    const std::vector<float> moved = TransferScores(both, scores, pair.to);
    for (size_t i = 0; i < pair.to.size(); ++i)
      ASSERT_EQ(moved[i], StrongestOverlap(both, scores, pair.to[i])) << "token " << i;
    const std::vector<TokenSpan> chosen(both.begin(), both.begin() + static_cast<int>(both.size() / 4));
    std::vector<int> expected;
    for (size_t i = 0; i < both.size(); ++i)
      if (std::ranges::any_of(chosen, [&](const TokenSpan& span) { return Overlap(span, both[i]); }))
        expected.push_back(static_cast<int>(i));
    ASSERT_EQ(TokensOverlapping(both, chosen), expected);
  });
}

// Scores as mass spread over a token's bytes. Where both cut the text into pieces that tile the same bytes,
// none of it is lost; a constant stays that constant wherever there is text.
TEST(TokenAlignmentProperty, TheMeanOverBytesConservesMass) {
  const auto num_bytes = [](const std::vector<TokenSpan>& spans) {
    size_t sum = 0;
    for (const TokenSpan& span : spans) sum += span.end - span.begin;
    return sum;
  };
  const auto mass = [](const std::vector<TokenSpan>& spans, const std::vector<float>& scores) {
    double sum = 0;
    for (size_t i = 0; i < spans.size(); ++i)
      sum += static_cast<double>(scores[i]) * (spans[i].end - spans[i].begin);
    return sum;
  };
  int num_tilings = 0;
  ForEachPair([&](const Pair& pair) {
    const std::vector<float> ones(pair.from.size(), 1.0f);
    const auto kept = TransferScores(pair.from, ones, pair.to, ScorePooling::kOverlapMean);
    const auto reachable = Covered(pair.from, pair.text.size());
    for (size_t i = 0; i < pair.to.size(); ++i) {
      const bool has_text =
          std::any_of(reachable.begin() + pair.to[i].begin, reachable.begin() + pair.to[i].end,
                      [](bool is_covered) { return is_covered; });
      ASSERT_FLOAT_EQ(kept[i], has_text ? 1.0f : 0.0f) << "token " << i;
    }
    const auto from_bytes = Covered(pair.from, pair.text.size()),
               to_bytes = Covered(pair.to, pair.text.size());
    const auto count = static_cast<size_t>(std::ranges::count(from_bytes, true));
    if (from_bytes != to_bytes || num_bytes(pair.from) != count || num_bytes(pair.to) != count) return;
    ++num_tilings;
    const std::vector<float> scores = SomeScores(pair.from.size());
    const auto moved = TransferScores(pair.from, scores, pair.to, ScorePooling::kOverlapMean);
    const double before = mass(pair.from, scores);
    ASSERT_NEAR(mass(pair.to, moved), before, 1e-5 * (before + 1));
  });
  EXPECT_GT(num_tilings, kRandomTexts) << "hardly a text was cut into tiles by two tokenizers";
}

TEST(TokenAlignmentProperty, NothingMapsToNothing) {
  const std::vector<TokenSpan> none, empty = {{0, 0}, {7, 7}};
  for (const NamedTokenizer& entry : Tokenizers()) {
    const std::vector<TokenSpan> spans = SpansOf(*entry.tokenizer, kTexts[0]);
    EXPECT_TRUE(TokensOverlapping(spans, none).empty());
    EXPECT_TRUE(TokensOverlapping(spans, empty).empty());
    EXPECT_TRUE(TokensOverlapping(empty, spans).empty());
    EXPECT_EQ(TransferScores(empty, std::vector<float>{3, 4}, spans), std::vector<float>(spans.size(), 0.0f));
    EXPECT_EQ(TransferScores(spans, SomeScores(spans.size()), empty), std::vector<float>({0, 0}));
    EXPECT_TRUE(SpansOf(*entry.tokenizer, "").empty());
  }
}

}  // namespace
}  // namespace cacheclip
