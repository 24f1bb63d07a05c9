#include "common/text/document_chunker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "absl/strings/ascii.h"
#include "common/base/status.h"
#include "tests/unit/common/text/text_test_data.h"

namespace cacheclip {
namespace {

std::vector<DocumentChunk> Split(const std::string& text, ChunkerOptions options,
                                 DocumentFormat format = DocumentFormat::kMarkdown) {
  const auto chunks = DocumentChunker(TinyTokenizer(), options).Split(text, format);
  EXPECT_TRUE(chunks.ok()) << chunks.status();
  return chunks.ok() ? *chunks : std::vector<DocumentChunk>{};
}

std::string TextOf(const std::string& text, const DocumentChunk& chunk) {
  return text.substr(chunk.begin, chunk.end - chunk.begin);
}

// The invariants of every split: order, no loss but white space, exact counts, the cap, whole characters.
void ExpectSound(const std::string& text, const std::vector<DocumentChunk>& chunks,
                 const ChunkerOptions& options) {
  size_t previous = 0;
  const auto is_blank = [&](size_t begin, size_t end) {
    return std::all_of(text.begin() + begin, text.begin() + end,
                       [](unsigned char c) { return absl::ascii_isspace(c); });
  };
  for (const DocumentChunk& chunk : chunks) {
    ASSERT_LE(previous, chunk.begin);
    ASSERT_LT(chunk.begin, chunk.end);
    EXPECT_TRUE(is_blank(previous, chunk.begin)) << "lost text before byte " << chunk.begin;
    EXPECT_TRUE(CheckUtf8("chunk", TextOf(text, chunk)).ok());
    const auto encoding = TinyTokenizer()->Encode(TextOf(text, chunk), Tokenizer::SpecialTokens::kAsText);
    EXPECT_EQ(chunk.num_tokens, static_cast<int>(encoding->ids.size()));
    EXPECT_LE(chunk.num_tokens, options.max_tokens);
    previous = chunk.end;
  }
  EXPECT_TRUE(is_blank(previous, text.size())) << "lost text after byte " << previous;
}

std::string Sentences(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "The ferry number " + std::to_string(i) + " leaves the harbour. ";
  return text;
}

TEST(DocumentChunker, AShortDocumentIsOneChunkWithoutOuterWhiteSpace) {
  const std::string text = "\n\n  indented start.\nEnd.\n \n";
  const auto chunks = Split(text, {});
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(TextOf(text, chunks[0]), "  indented start.\nEnd.");
}

TEST(DocumentChunker, AWhiteSpaceDocumentHasNoChunks) {
  EXPECT_TRUE(Split("", {}).empty());
  EXPECT_TRUE(Split(" \n\t\n ", {}).empty());
}

TEST(DocumentChunker, CutsAtHeadingsAndKeepsThemWithTheirText) {
  std::string text;
  for (const char* title : {"One", "Two", "Three"})
    text += std::string("## ") + title + "\n\n" + Sentences(6) + "\n\n";
  const ChunkerOptions options{.target_tokens = 96, .max_tokens = 160, .min_tokens = 8};
  const auto chunks = Split(text, options);
  ASSERT_EQ(chunks.size(), 3u);
  for (const DocumentChunk& chunk : chunks) EXPECT_THAT(TextOf(text, chunk), testing::StartsWith("## "));
  ExpectSound(text, chunks, options);
}

TEST(DocumentChunker, CutsLongParagraphsAtSentences) {
  const std::string text = Sentences(40);
  const ChunkerOptions options{.target_tokens = 64, .max_tokens = 128, .min_tokens = 8};
  const auto chunks = Split(text, options);
  EXPECT_GT(chunks.size(), 4u);
  for (const DocumentChunk& chunk : chunks) EXPECT_THAT(TextOf(text, chunk), testing::EndsWith("harbour."));
  ExpectSound(text, chunks, options);
}

TEST(DocumentChunker, ATinyTailJoinsTheChunkBeforeIt) {
  const std::string text = "# A\n\n" + Sentences(5) + "\n\n# B\n\nTiny.";
  const ChunkerOptions options{.target_tokens = 64, .max_tokens = 128, .min_tokens = 16};
  const auto chunks = Split(text, options);
  EXPECT_THAT(TextOf(text, chunks.back()), testing::EndsWith("Tiny."));
  EXPECT_GE(chunks.back().num_tokens, options.min_tokens);
  ExpectSound(text, chunks, options);
}

TEST(DocumentChunker, RandomTextsAreSplitSoundly) {
  const std::vector<std::string> parts = {
      "word ", "x",     ". ", "\n",     "\n\n", "# H\n",  "- item\n",
      "```\n", "🙂",  "é",  "灯台。", "   ",  "12345 ", "aaaaaaaaaaaaaaaaaaaaaaaa",
      "\t",    "Next! "};
  std::mt19937 random(5);
  for (int round = 0; round < 60; ++round) {
    std::string text;
    for (int i = 0; i < 400; ++i) text += parts[random() % parts.size()];
    const ChunkerOptions options{.target_tokens = 16 + static_cast<int>(random() % 80),
                                 .max_tokens = 100,
                                 .min_tokens = static_cast<int>(random() % 16)};
    const auto format = round % 2 == 0 ? DocumentFormat::kMarkdown : DocumentFormat::kPlainText;
    ExpectSound(text, Split(text, options, format), options);
  }
}

TEST(DocumentChunker, OneWordOfTenMegabytesIsSplit) {
  const std::string text(size_t{10} << 20, 'a');
  const ChunkerOptions options{.target_tokens = 512, .max_tokens = 512};
  const auto chunks = Split(text, options);
  ASSERT_FALSE(chunks.empty());
  size_t total_bytes = 0;
  for (const DocumentChunk& chunk : chunks) {
    ASSERT_EQ(chunk.begin, total_bytes);
    EXPECT_LE(chunk.num_tokens, options.max_tokens);
    total_bytes = chunk.end;
  }
  EXPECT_EQ(total_bytes, text.size());
}

TEST(DocumentChunker, BadInputIsRefusedByName) {
  const auto error = [](const std::string& text, ChunkerOptions options) {
    return DocumentChunker(TinyTokenizer(), options).Split(text, DocumentFormat::kPlainText).status();
  };
  EXPECT_EQ(FieldOf(error("a\xff", {})), "text");
  EXPECT_EQ(FieldOf(error("a", {.target_tokens = 8})), "target_tokens");
  EXPECT_EQ(FieldOf(error("a", {.target_tokens = 300, .max_tokens = 200})), "max_tokens");
  EXPECT_EQ(FieldOf(error("a", {.min_tokens = -1})), "min_tokens");
  EXPECT_TRUE(absl::IsResourceExhausted(error(std::string(kMaxDocumentBytes + 1, 'a'), {})));
}

}  // namespace
}  // namespace cacheclip
