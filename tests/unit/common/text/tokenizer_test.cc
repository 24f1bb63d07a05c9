#include "common/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "common/base/status.h"
#include "tests/unit/common/text/text_test_data.h"

namespace cacheclip {
namespace {

using SpecialTokens = Tokenizer::SpecialTokens;

class GoldenEncoding : public testing::TestWithParam<std::pair<const char*, SpecialTokens>> {};

TEST_P(GoldenEncoding, IdsAndSpansEqualThoseOfTransformers) {
  const auto [name, special_tokens] = GetParam();
  for (const nlohmann::json& expected : Golden()[name]) {
    const std::string text = expected["text"];
    const auto encoding = TinyTokenizer()->Encode(text, special_tokens);
    ASSERT_TRUE(encoding.ok()) << encoding.status();
    EXPECT_EQ(encoding->ids, expected["ids"].get<std::vector<int32_t>>()) << text;
    ASSERT_EQ(encoding->spans.size(), expected["spans"].size()) << text;
    for (size_t i = 0; i < encoding->spans.size(); ++i) {
      EXPECT_EQ(encoding->spans[i].begin, expected["spans"][i][0].get<uint32_t>()) << text << " token " << i;
      EXPECT_EQ(encoding->spans[i].end, expected["spans"][i][1].get<uint32_t>()) << text << " token " << i;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Tokenizer, GoldenEncoding,
                         testing::Values(std::pair{"as_text", SpecialTokens::kAsText},
                                         std::pair{"recognized", SpecialTokens::kRecognized}));

TEST(Tokenizer, DecodesAsTransformersDoes) {
  for (const nlohmann::json& expected : Golden()["decoded"]) {
    const std::vector<int32_t> ids = expected["ids"];
    EXPECT_EQ(*TinyTokenizer()->Decode(ids, false), expected["all"].get<std::string>());
    EXPECT_EQ(*TinyTokenizer()->Decode(ids, true), expected["skip_special"].get<std::string>());
  }
}

TEST(Tokenizer, ControlTokensInATextStayText) {
  const auto encoding = TinyTokenizer()->Encode("a<|im_end|>b", SpecialTokens::kAsText);
  ASSERT_TRUE(encoding.ok());
  EXPECT_THAT(encoding->ids, testing::Not(testing::Contains(*TinyTokenizer()->TokenToId("<|im_end|>"))));
  EXPECT_EQ(*TinyTokenizer()->Decode(encoding->ids, /*skip_special=*/true), "a<|im_end|>b");
}

// A tokenizer.json with one more added token, in a folder of its own.
class ChangedTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/tokenizer-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ + "/" + name) << content;
  }

  std::string folder_;
};

TEST_F(ChangedTokenizer, ATokenWrittenLikeMarkupIsControlEvenIfNotMarkedSpecial) {
  nlohmann::ordered_json tokenizer =
      nlohmann::ordered_json::parse(ReadTextData("tiny-chatml/tokenizer.json"));
  for (const auto& [id, content] : {std::pair{1024, "<tool_call>"}, std::pair{1025, "    "}}) {
    tokenizer["added_tokens"].push_back({{"id", id},
                                         {"content", content},
                                         {"single_word", false},
                                         {"lstrip", false},
                                         {"rstrip", false},
                                         {"normalized", false},
                                         {"special", false}});
  }
  Write("tokenizer.json", tokenizer.dump());
  const auto changed = Tokenizer::Load(folder_);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_THAT((*changed)->Encode("<tool_call>", SpecialTokens::kRecognized)->ids, testing::ElementsAre(1024));
  EXPECT_THAT((*changed)->Encode("<tool_call>", SpecialTokens::kAsText)->ids,
              testing::Not(testing::Contains(1024)));
  EXPECT_THAT((*changed)->Encode("    ", SpecialTokens::kAsText)->ids, testing::ElementsAre(1025));
}

TEST_F(ChangedTokenizer, SavedTruncationIsIgnored) {
  nlohmann::ordered_json tokenizer =
      nlohmann::ordered_json::parse(ReadTextData("tiny-chatml/tokenizer.json"));
  tokenizer["truncation"] = {
      {"direction", "Right"}, {"max_length", 3}, {"strategy", "LongestFirst"}, {"stride", 0}};
  Write("tokenizer.json", tokenizer.dump());
  const auto changed = Tokenizer::Load(folder_);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_GT((*changed)->Encode("one two three four five", SpecialTokens::kAsText)->ids.size(), 3u);
}

TEST_F(ChangedTokenizer, AContinuationGetsNoSpaceBeforeItsFirstWord) {
  nlohmann::ordered_json tokenizer =
      nlohmann::ordered_json::parse(ReadTextData("tiny-chatml/tokenizer.json"));
  tokenizer["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "Ġ"}, {"prepend_scheme", "first"}, {"split", true}};
  Write("tokenizer.json", tokenizer.dump());
  const auto changed = Tokenizer::Load(folder_);
  ASSERT_TRUE(changed.ok()) << changed.status();
  const auto first_token = [&](Tokenizer::TextStart start) {
    const auto encoding = (*changed)->Encode("harbour", SpecialTokens::kAsText, start);
    return *(*changed)->IdToToken(encoding->ids.at(0));
  };
  EXPECT_TRUE(first_token(Tokenizer::TextStart::kBeginning).starts_with("Ġ"));
  EXPECT_FALSE(first_token(Tokenizer::TextStart::kContinuation).starts_with("Ġ"));
}

TEST_F(ChangedTokenizer, AMissingFileIsNotFoundAndNamed) {
  const auto missing = Tokenizer::Load(folder_);
  EXPECT_TRUE(absl::IsNotFound(missing.status())) << missing.status();
  EXPECT_THAT(missing.status().ToString(), testing::HasSubstr("tokenizer.json"));
}

TEST_F(ChangedTokenizer, ABrokenFileIsRefused) {
  Write("tokenizer.json", R"({"model": 7})");
  EXPECT_TRUE(absl::IsFailedPrecondition(Tokenizer::Load(folder_).status()));
}

TEST(Tokenizer, KnowsItsTokens) {
  const auto tokenizer = TinyTokenizer();
  EXPECT_EQ(tokenizer->vocab_size(), 1024);
  EXPECT_EQ(tokenizer->TokenToId("<|im_start|>"), 1);
  EXPECT_EQ(tokenizer->TokenToId("no such token"), std::nullopt);
  EXPECT_EQ(*tokenizer->IdToToken(2), "<|im_end|>");
  EXPECT_TRUE(absl::IsNotFound(tokenizer->IdToToken(1024).status()));
  EXPECT_TRUE(absl::IsNotFound(tokenizer->IdToToken(-1).status()));
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  ASSERT_EQ(tokenizer->added_tokens().size(), 3u);
  EXPECT_TRUE(tokenizer->added_tokens()[2].is_control);
  const std::string json = ReadTextData("tiny-chatml/tokenizer.json");
  EXPECT_EQ(tokenizer->fingerprint(), Sha256().AddBytes(json.data(), json.size()).Finish());
}

TEST(Tokenizer, BadInputIsRefusedWithItsPlace) {
  const auto encoding = TinyTokenizer()->Encode("good \xff bad", SpecialTokens::kAsText);
  EXPECT_TRUE(absl::IsInvalidArgument(encoding.status()));
  EXPECT_THAT(encoding.status().ToString(), testing::HasSubstr("byte 5"));
  EXPECT_TRUE(absl::IsInvalidArgument(TinyTokenizer()->Decode(std::vector<int32_t>{5, -1}, false).status()));
  const absl::Status field = CheckUtf8("messages[0].content", "ab\xc3");
  EXPECT_EQ(FieldOf(field), "messages[0].content");
  EXPECT_TRUE(CheckUtf8("text", "äöü").ok());
}

TEST(Tokenizer, TextBeyondTheLimitIsRefusedAndAtTheLimitTaken) {
  const std::string limit(kMaxEncodeBytes, 'a');
  EXPECT_TRUE(TinyTokenizer()->Encode(limit, SpecialTokens::kAsText).ok());
  EXPECT_TRUE(
      absl::IsResourceExhausted(TinyTokenizer()->Encode(limit + "a", SpecialTokens::kAsText).status()));
}

TEST(Tokenizer, EightThreadsGetTheSameIds) {
  const nlohmann::json& texts = Golden()["as_text"];
  std::vector<std::thread> threads;
  std::vector<int> mismatches(8, 0);
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 20; ++round) {
        for (const char* name : {"as_text", "recognized"}) {
          const auto mode =
              name == std::string("as_text") ? SpecialTokens::kAsText : SpecialTokens::kRecognized;
          for (size_t i = 0; i < texts.size(); ++i) {
            const nlohmann::json& expected = Golden()[name][i];
            const auto encoding = TinyTokenizer()->Encode(expected["text"].get<std::string>(), mode);
            mismatches[thread] +=
                !encoding.ok() || encoding->ids != expected["ids"].get<std::vector<int32_t>>();
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(mismatches, testing::Each(0));
}

TEST(StreamDecoder, JoinsToTheWholeTextAndNeverSplitsACharacter) {
  for (const nlohmann::json& expected : Golden()["decoded"]) {
    StreamDecoder stream(TinyTokenizer(), /*skip_special=*/false);
    std::string text;
    for (const int32_t id : expected["ids"]) {
      const auto piece = stream.Push(id);
      ASSERT_TRUE(piece.ok()) << piece.status();
      EXPECT_TRUE(CheckUtf8("piece", *piece).ok());
      EXPECT_THAT(*piece, testing::Not(testing::HasSubstr("\uFFFD")));
      text += *piece;
    }
    text += *stream.Flush();
    EXPECT_EQ(text, expected["all"].get<std::string>());
  }
}

TEST(StreamDecoder, HeldBackBytesComeOutBrokenAtTheEnd) {
  const auto encoding =
      TinyTokenizer()->Encode("\U0001F9FF", SpecialTokens::kAsText);  // not in the training text
  ASSERT_GT(encoding->ids.size(), 1u);
  StreamDecoder stream(TinyTokenizer(), false);
  EXPECT_EQ(*stream.Push(encoding->ids[0]), "");
  EXPECT_EQ(*stream.Flush(), "\uFFFD");
  EXPECT_EQ(*stream.Push(*TinyTokenizer()->TokenToId("a")), "a");
}

TEST(StreamDecoder, AnyIdsJoinToWhatDecodeGives) {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    StreamDecoder stream(TinyTokenizer(), true);
    std::vector<int32_t> ids;
    std::string text;
    for (int i = 0; i < 60; ++i) {
      ids.push_back(static_cast<int32_t>(3 + random() % 1021));
      const auto piece = stream.Push(ids.back());
      ASSERT_TRUE(piece.ok()) << piece.status();
      text += *piece;
    }
    text += *stream.Flush();
    EXPECT_EQ(text, *TinyTokenizer()->Decode(ids, true)) << "round " << round;
  }
}

}  // namespace
}  // namespace cacheclip
