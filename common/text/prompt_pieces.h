// Renders a conversation and tells, for every stretch of the result, who wrote it: the template, a message,
// or nobody yet (the place of the chunks). Every message's text is replaced by a mark that occurs nowhere
// else; the rendered text is cut at the marks and the texts are put back. What a template may do to a text:
// strip white space on either side (found by rendering padded marks, and then done here too). Anything else
// is refused by name: altering, dropping, repeating or reordering texts, or wording that depends on them
// (found by rendering the real texts and comparing).
//
// Concurrency: a pure function.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/text/chat_template.h"

namespace cacheclip {

struct PromptPiece {
  enum class Author { kTemplate, kMessage, kChunks };
  Author author = Author::kTemplate;
  std::string text;        // empty for kChunks
  int message_index = -1;  // kMessage: which message
};

// A message, in which the chunks may stand: `content`, or `before_chunks` + chunks + `content`.
struct PromptMessage {
  std::string role;
  std::string content;
  std::optional<std::string> before_chunks;
};

// The pieces in order; template pieces may be empty. With `continue_last` the last message's turn stays open:
// nothing follows its text, and no new turn is opened.
absl::StatusOr<std::vector<PromptPiece>> RenderPieces(const ChatTemplate& chat_template,
                                                      std::span<const PromptMessage> messages, absl::Time now,
                                                      bool continue_last);

}  // namespace cacheclip
