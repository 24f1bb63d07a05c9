#include "common/text/text_borders.h"

#include <gtest/gtest.h>

#include <string>

namespace cacheclip {
namespace {

// The text with a sign before every border: # heading, P paragraph, I item, S sentence, L wrapped line.
std::string Marked(std::string_view text, DocumentFormat format = DocumentFormat::kMarkdown) {
  std::string marked(text);
  const std::vector<TextBorder> borders = FindBorders(text, format);
  for (auto border = borders.rbegin(); border != borders.rend(); ++border)
    marked.insert(border->offset, std::string("^") + "LSIPH"[static_cast<int>(border->strength)]);
  return marked;
}

TEST(TextBorders, AHeadingStaysWithItsText) {
  EXPECT_EQ(Marked("intro\n\n# One\n\ntext\n## Two\n### Three\nmore"),
            "intro\n\n^H# One\n\ntext\n^H## Two\n### Three\nmore");
  EXPECT_EQ(Marked("intro\n\nOne\n===\ntext"), "intro\n\n^HOne\n===\ntext");
}

TEST(TextBorders, PlainTextHasNoHeadings) {
  EXPECT_EQ(Marked("a\n\n# b\n\nc", DocumentFormat::kPlainText), "a\n\n^P# b\n\n^Pc");
}

TEST(TextBorders, ListsTablesAndParagraphs) {
  EXPECT_EQ(Marked("text:\n- one\n- two\n  goes on\n\n1. three\n| a | b |"),
            "text:\n^I- one\n^I- two\n^L  goes on\n\n^P1. three\n^I| a | b |");
}

TEST(TextBorders, SentencesInsideAndAcrossLines) {
  EXPECT_EQ(Marked("One. Two? \"Three!\" Four,\nfive. Six.\nSeven"),
            "One. ^STwo? ^S\"Three!\" ^SFour,\n^Lfive. ^SSix.\n^SSeven");
  EXPECT_EQ(Marked("Mr J. Smith, e.g. the 3.5 m one. Next"), "Mr J. Smith, e.g. the 3.5 m one. ^SNext");
  EXPECT_EQ(Marked("港は西に。船が出る。"), "港は西に。^S船が出る。");
}

TEST(TextBorders, CodeIsCutAtLinesOnlyAndHashesInItAreNoHeadings) {
  EXPECT_EQ(Marked("text\n```\n# not. A heading\n\nx = 1\n```\n# heading"),
            "text\n^L```\n^I# not. A heading\n\n^Ix = 1\n^L```\n^H# heading");
}

TEST(TextBorders, TextsWithoutBorders) {
  EXPECT_EQ(Marked(""), "");
  EXPECT_EQ(Marked("\n\n\n"), "\n\n\n");
  EXPECT_EQ(Marked("word"), "word");
}

}  // namespace
}  // namespace cacheclip
