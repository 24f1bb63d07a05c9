#include "common/text/prompt_pieces.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/text/white_space.h"

namespace cacheclip {
namespace {

// White space put around marks to see what the template strips. Their lengths tell which of them are left.
constexpr char kLeftPad[] = "\n \t";
constexpr char kRightPad[] = "\t \n\n ";

struct Stripping {
  bool left = false, right = false;
};

absl::Status Refuse(const ChatTemplate& chat_template, std::string_view problem) {
  return absl::FailedPreconditionError(
      absl::StrCat("chat template ", chat_template.name(), " ", AbslView(problem)));
}

// Marks that no text contains: they carry a digest of all texts, and a new one if a text should contain even
// that.
class Marks {
 public:
  explicit Marks(std::span<const PromptMessage> messages) {
    for (uint64_t attempt = 0;; ++attempt) {
      Sha256 hash;
      hash.AddInteger(attempt);
      for (const PromptMessage& message : messages) hash.AddField(message.content);
      stem_ = absl::StrCat("Mark", ToHex(hash.Finish()).substr(0, 24));
      const auto contains = [this](const PromptMessage& message) {
        return absl::StrContains(absl::StrCat(message.before_chunks.value_or(""), message.content), stem_);
      };
      if (std::ranges::none_of(messages, contains)) return;
    }
  }
  std::string OfMessage(size_t index) const { return absl::StrCat(stem_, "m", index, "x"); }
  std::string OfChunks() const { return absl::StrCat(stem_, "chunks"); }

 private:
  std::string stem_;
};

// What the template wrote before, between and after the messages' marks: num_messages + 1 texts.
absl::StatusOr<std::vector<std::string>> CutAtMarks(const ChatTemplate& chat_template,
                                                    std::string_view rendered,
                                                    std::span<const PromptMessage> messages,
                                                    const Marks& marks) {
  std::vector<std::string> between;
  size_t begin = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string mark = marks.OfMessage(i);
    const size_t found = rendered.find(mark);
    const std::string text_of = absl::StrCat("the text of message ", i, " (", messages[i].role, ")");
    if (found == std::string_view::npos)
      return Refuse(chat_template, absl::StrCat("alters or drops ", text_of));
    if (rendered.find(mark, found + 1) != std::string_view::npos)
      return Refuse(chat_template, absl::StrCat("repeats ", text_of));
    if (found < begin)
      return Refuse(chat_template, absl::StrCat("moves ", text_of, " before an earlier one"));
    between.emplace_back(rendered.substr(begin, found - begin));
    begin = found + mark.size();
  }
  between.emplace_back(rendered.substr(begin));
  return between;
}

absl::StatusOr<std::vector<std::string>> RenderMarks(const ChatTemplate& chat_template,
                                                     std::span<const PromptMessage> messages,
                                                     const Marks& marks, const RenderOptions& options,
                                                     std::string_view left_pad, std::string_view right_pad) {
  std::vector<ChatMessage> marked;
  for (size_t i = 0; i < messages.size(); ++i)
    marked.push_back(
        {messages[i].role, absl::StrCat(AbslView(left_pad), marks.OfMessage(i), AbslView(right_pad))});
  CACHECLIP_ASSIGN_OR_RETURN(const std::string rendered, chat_template.Render(marked, options));
  return CutAtMarks(chat_template, rendered, messages, marks);
}

// Compares what stands between bare marks with what stands between padded ones: a pad that is gone was
// stripped.
absl::StatusOr<std::vector<Stripping>> FindStripping(const ChatTemplate& chat_template,
                                                     const std::vector<std::string>& bare,
                                                     const std::vector<std::string>& padded) {
  std::vector<Stripping> stripping(bare.size() - 1);
  for (size_t i = 0; i < bare.size(); ++i) {
    const bool has_previous = i > 0, has_next = i + 1 < bare.size();
    bool explained = false;
    for (const bool right_kept : {true, false}) {   // of the message before this text
      for (const bool left_kept : {true, false}) {  // of the message after it
        if ((!has_previous && right_kept) || (!has_next && left_kept) || explained) continue;
        if (padded[i] != absl::StrCat(right_kept ? kRightPad : "", bare[i], left_kept ? kLeftPad : ""))
          continue;
        if (has_previous) stripping[i - 1].right = !right_kept;
        if (has_next) stripping[i].left = !left_kept;
        explained = true;
      }
    }
    if (!explained)
      return Refuse(chat_template, absl::StrCat("changes white space around the text of message ",
                                                i - has_previous, " in another way than stripping it"));
  }
  return stripping;
}

std::string StripLeft(std::string text) { return text.erase(0, LeadingSpaceBytes(text)); }
std::string StripRight(std::string text) {
  text.resize(text.size() - TrailingSpaceBytes(text));
  return text;
}

// The pieces of one message, stripped as the template would strip the whole.
void AppendMessage(const PromptMessage& message, int index, Stripping stripping,
                   std::vector<PromptPiece>& pieces) {
  using Author = PromptPiece::Author;
  std::string content = stripping.right ? StripRight(message.content) : message.content;
  if (message.before_chunks.has_value()) {
    const std::string& before = *message.before_chunks;
    pieces.push_back({Author::kMessage, stripping.left ? StripLeft(before) : before, index});
    pieces.push_back({Author::kChunks, "", index});
  } else if (stripping.left) {
    content = StripLeft(std::move(content));
  }
  pieces.push_back({Author::kMessage, std::move(content), index});
}

// The template must write the same words around the real texts as around the marks.
absl::Status CheckRealTexts(const ChatTemplate& chat_template, std::span<const PromptMessage> messages,
                            const Marks& marks, const RenderOptions& options,
                            const std::vector<PromptPiece>& pieces) {
  std::vector<ChatMessage> real;
  for (const PromptMessage& message : messages) {
    real.push_back(
        {message.role, message.before_chunks.has_value()
                           ? absl::StrCat(*message.before_chunks, marks.OfChunks(), message.content)
                           : message.content});
  }
  CACHECLIP_ASSIGN_OR_RETURN(const std::string rendered, chat_template.Render(real, options));
  std::string expected;
  for (const PromptPiece& piece : pieces)
    absl::StrAppend(&expected, piece.author == PromptPiece::Author::kChunks ? marks.OfChunks() : piece.text);
  if (rendered == expected) return absl::OkStatus();
  const size_t at = std::ranges::mismatch(rendered, expected).in1 - rendered.begin();
  return Refuse(chat_template, absl::StrCat("rewrites the messages' text or words around it (byte ", at,
                                            " of the rendered text)"));
}

}  // namespace

absl::StatusOr<std::vector<PromptPiece>> RenderPieces(const ChatTemplate& chat_template,
                                                      std::span<const PromptMessage> messages, absl::Time now,
                                                      bool continue_last) {
  const Marks marks(messages);
  const RenderOptions options{.add_generation_prompt = !continue_last, .now = now};
  CACHECLIP_ASSIGN_OR_RETURN(const auto bare, RenderMarks(chat_template, messages, marks, options, "", ""));
  CACHECLIP_ASSIGN_OR_RETURN(const auto padded,
                             RenderMarks(chat_template, messages, marks, options, kLeftPad, kRightPad));
  CACHECLIP_ASSIGN_OR_RETURN(const auto stripping, FindStripping(chat_template, bare, padded));
  std::vector<PromptPiece> pieces;
  for (size_t i = 0; i < messages.size(); ++i) {
    pieces.push_back({PromptPiece::Author::kTemplate, bare[i], -1});
    AppendMessage(messages[i], static_cast<int>(i), stripping[i], pieces);
  }
  pieces.push_back({PromptPiece::Author::kTemplate, bare.back(), -1});
  CACHECLIP_RETURN_IF_ERROR(CheckRealTexts(chat_template, messages, marks, options, pieces));
  if (continue_last) pieces.pop_back();
  return pieces;
}

}  // namespace cacheclip
