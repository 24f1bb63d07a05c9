// Where a text may be cut, and how well: the starts of headings, paragraphs, list items, sentences and lines.
// Markdown adds headings (# and underlined) and code fences, in which only lines count. There is no border
// right after a heading: it stays with its text. Words are not listed; there are too many.
//
// Pure functions, one pass.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace cacheclip {

enum class DocumentFormat { kPlainText, kMarkdown };

enum class BorderStrength { kWrappedLine, kSentence, kItem, kParagraph, kHeading };

struct TextBorder {
  size_t offset = 0;  // a chunk may start here
  BorderStrength strength = BorderStrength::kWrappedLine;
};

// Ascending by offset; none at 0.
std::vector<TextBorder> FindBorders(std::string_view text, DocumentFormat format);

}  // namespace cacheclip
