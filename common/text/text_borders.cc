#include "common/text/text_borders.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"

namespace cacheclip {
namespace {

constexpr std::string_view kAsciiEnders = ".!?";
constexpr std::array<std::string_view, 3> kWideEnders = {"。", "！", "？"};  // no white space follows them

bool IsSpace(char byte) { return absl::ascii_isspace(static_cast<unsigned char>(byte)); }

std::string_view StripLeft(std::string_view line) {
  while (!line.empty() && IsSpace(line.front())) line.remove_prefix(1);
  return line;
}

std::string_view StripRight(std::string_view line) {
  while (!line.empty() && IsSpace(line.back())) line.remove_suffix(1);
  return line;
}

bool IsHashHeading(std::string_view line) {
  const size_t hashes = std::min(line.find_first_not_of('#'), line.size());
  return hashes >= 1 && hashes <= 6 && (hashes == line.size() || IsSpace(line[hashes]));
}

// "=====" or "-----" below a line of text makes that line a heading.
bool IsUnderline(std::string_view line) {
  line = StripRight(line);
  return line.size() >= 2 &&
         (line.find_first_not_of('=') == line.npos || line.find_first_not_of('-') == line.npos);
}

bool IsFence(std::string_view line) {
  line = StripLeft(line);
  return line.starts_with("```") || line.starts_with("~~~");
}

bool IsItem(std::string_view line) {
  line = StripLeft(line);
  if (line.empty()) return false;
  if (line[0] == '|') return true;  // a table's row
  size_t marker = line.find_first_not_of("0123456789");
  if (marker == line.npos) return false;
  const bool bullet = marker == 0 && std::string_view("-*+").find(line[0]) != std::string_view::npos;
  const bool number = marker > 0 && marker < 4 && (line[marker] == '.' || line[marker] == ')');
  return (bullet || number) && marker + 1 < line.size() && IsSpace(line[marker + 1]);
}

bool EndsSentence(std::string_view text) {
  while (!text.empty() && (IsSpace(text.back()) || std::string_view("\"')]").find(text.back()) != text.npos))
    text.remove_suffix(1);
  if (text.empty()) return false;
  const auto ends_with = [text](std::string_view ender) { return text.ends_with(ender); };
  return kAsciiEnders.find(text.back()) != kAsciiEnders.npos || std::ranges::any_of(kWideEnders, ends_with);
}

// "e.g. the", "J. Smith", "3.5 m": a full stop that is followed by a small letter or stands behind a single
// letter.
bool IsAbbreviation(std::string_view line, size_t stop, size_t next) {
  if (absl::ascii_islower(static_cast<unsigned char>(line[next]))) return true;
  return line[stop] == '.' && stop > 0 && absl::ascii_isupper(static_cast<unsigned char>(line[stop - 1])) &&
         (stop == 1 || IsSpace(line[stop - 2]));
}

class BorderFinder {
 public:
  BorderFinder(std::string_view text, DocumentFormat format)
      : text_(text), markdown_(format == DocumentFormat::kMarkdown) {}

  std::vector<TextBorder> Run() && {
    for (size_t begin = 0; begin < text_.size();) {
      const size_t end = LineEnd(begin);
      AddLine(begin, end);
      begin = end;
    }
    return std::move(borders_);
  }

 private:
  size_t LineEnd(size_t begin) const { return std::min(text_.find('\n', begin), text_.size() - 1) + 1; }
  std::string_view Line(size_t begin, size_t end) const {
    return StripRight(text_.substr(begin, end - begin));
  }

  bool IsHeading(std::string_view line, size_t end) const {
    if (!markdown_ || in_fence_) return false;
    if (IsHashHeading(line)) return true;
    return end < text_.size() && !IsItem(line) && IsUnderline(Line(end, LineEnd(end)));
  }

  void AddLine(size_t begin, size_t end) {
    const std::string_view line = Line(begin, end);
    if (line.empty()) {
      after_blank_ = true;
      return;
    }
    const bool underline = after_heading_ && !after_blank_ && IsUnderline(line);
    const bool fence = markdown_ && IsFence(line);
    const bool heading = !underline && !fence && IsHeading(line, end);
    if (begin > 0 && !after_heading_) borders_.push_back({begin, StrengthOf(line, heading, fence)});
    if (!heading && !underline && !fence && !in_fence_) AddSentences(begin, line);
    if (fence) in_fence_ = !in_fence_;
    previous_ = line;
    after_heading_ = heading || underline;
    after_blank_ = false;
  }

  BorderStrength StrengthOf(std::string_view line, bool heading, bool fence) const {
    if (heading) return BorderStrength::kHeading;
    if (in_fence_)
      return fence ? BorderStrength::kWrappedLine : BorderStrength::kItem;  // keep the closing fence inside
    if (after_blank_) return BorderStrength::kParagraph;
    if (IsItem(line)) return BorderStrength::kItem;
    return EndsSentence(previous_) ? BorderStrength::kSentence : BorderStrength::kWrappedLine;
  }

  void AddSentences(size_t begin, std::string_view line) {
    for (size_t at = 0; at < line.size(); ++at) {
      size_t next = at + 1;
      if (kAsciiEnders.find(line[at]) != kAsciiEnders.npos) {
        while (next < line.size() && std::string_view(".!?\"')]").find(line[next]) != std::string_view::npos)
          ++next;
        const size_t space = next;
        while (next < line.size() && IsSpace(line[next])) ++next;
        if (next == space || next >= line.size() || IsAbbreviation(line, at, next)) continue;
      } else {
        const auto starts_here = [&](std::string_view ender) { return line.substr(at).starts_with(ender); };
        const auto ender = std::ranges::find_if(kWideEnders, starts_here);
        if (ender == kWideEnders.end()) continue;
        next = at + ender->size();
        if (next >= line.size()) continue;
      }
      borders_.push_back({begin + next, BorderStrength::kSentence});
      at = next - 1;
    }
  }

  const std::string_view text_;
  const bool markdown_;
  std::vector<TextBorder> borders_;
  std::string_view previous_;  // the last line that is not blank
  bool in_fence_ = false, after_heading_ = false, after_blank_ = false;
};

}  // namespace

std::vector<TextBorder> FindBorders(std::string_view text, DocumentFormat format) {
  return BorderFinder(text, format).Run();
}

}  // namespace cacheclip
