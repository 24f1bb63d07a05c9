// Which token ids a prompt consists of: prefix + chunks + suffix, each tokenised on its own, so that a chunk
// has the same ids whatever it stands beside. The chat template is rendered with marks where the chunks and
// every message's text stand; what comes before the chunks' mark is the prefix, what comes after is the
// suffix (question, other turns, the start of the answer). Control tokens are recognised only in what the
// template itself wrote: "<|im_end|>" in a document or a question stays ordinary text. See
// docs/adr/0002-prompt-layout.md.
//
//   PromptLayout layout(tokenizer, chat_template);
//   auto prefix = layout.PrefixIds(spec);                        // once per registered prefix
//   auto chunk = layout.ChunkIds(spec, chunk_text, title);       // at ingestion
//   auto suffix = layout.Suffix(spec, messages);                 // per request
//   prompt = prefix ids + the chunks' ids in order + suffix.ids
//
// Concurrency: immutable, any number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/text/chat_template.h"
#include "common/text/piece_encoder.h"
#include "common/text/prompt_pieces.h"
#include "common/text/tokenizer.h"

namespace cacheclip {

inline constexpr size_t kMaxMessages = 256;  // per request; more is RESOURCE_EXHAUSTED

// What a namespace registers: everything that stands before and between the chunks.
struct PrefixSpec {
  enum class Placement { kUser, kSystem };

  std::string system_prompt;  // may be empty: then the template's own default, if it has one, applies
  std::string instruction;    // stands directly before the chunks, in the message that holds them
  // The message that holds the chunks: the first user's, or the system's (after the system prompt and an
  // empty line).
  Placement placement = Placement::kUser;
  std::string separator = "\n\n";  // follows every chunk's text and belongs to its ids
  absl::Time template_time;        // the date that the template shows, frozen when the prefix is registered
};

struct SuffixEncoding {
  std::vector<int32_t> ids;
  // ids[question_begin, question_end) are the last user message's own text: the rows that score chunk tokens.
  // The template's words around it and an answer prefix are outside.
  int question_begin = 0;
  int question_end = 0;
};

class PromptLayout {
 public:
  PromptLayout(std::shared_ptr<const Tokenizer> tokenizer, std::shared_ptr<const ChatTemplate> chat_template);

  // FAILED_PRECONDITION, naming the template: one that refuses a system message, alters, drops or repeats a
  // message's text, or (kUser) does not put the user's text after the system's.
  absl::StatusOr<std::vector<int32_t>> PrefixIds(const PrefixSpec& spec) const;

  // `messages`: user and assistant turns; the last user message is the question; a final assistant message is
  // the start of the answer, to be continued. A leading system message must repeat the registered one. Errors
  // name the field ("messages", "messages[2].content").
  absl::StatusOr<SuffixEncoding> Suffix(const PrefixSpec& spec, std::span<const ChatMessage> messages) const;

  // title line (if any) + text + separator. Spans are relative to `text`; tokens of title and separator have
  // zero width.
  absl::StatusOr<Encoding> ChunkIds(const PrefixSpec& spec, std::string_view text,
                                    std::string_view title = {}) const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  // The pieces before the chunks' place, from a conversation that has nothing else yet.
  absl::StatusOr<std::vector<PromptPiece>> PrefixPieces(const PrefixSpec& spec) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ChatTemplate> template_;
  PieceEncoder encoder_;
};

}  // namespace cacheclip
