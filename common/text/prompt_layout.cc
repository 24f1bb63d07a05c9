#include "common/text/prompt_layout.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/text/white_space.h"

namespace cacheclip {
namespace {

using Author = PromptPiece::Author;
using SpecialTokens = Tokenizer::SpecialTokens;
using TextStart = Tokenizer::TextStart;

bool IsBlank(std::string_view text) { return LeadingSpaceBytes(text) == text.size(); }

absl::Status CheckSpec(const PrefixSpec& spec) {
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("system_prompt", spec.system_prompt));
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("instruction", spec.instruction));
  return CheckUtf8("separator", spec.separator);
}

// Roles, order, encoding and size; `messages` has no system message any more. `offset`: how many were dropped
// before.
absl::Status CheckMessages(std::span<const ChatMessage> messages, size_t offset) {
  if (messages.size() > kMaxMessages)
    return FieldError(absl::StatusCode::kResourceExhausted, "messages",
                      absl::StrCat(messages.size(), " messages; at most ", kMaxMessages));
  size_t total_bytes = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string field = absl::StrCat("messages[", i + offset, "]");
    if (messages[i].role != "user" && messages[i].role != "assistant")
      return InvalidField(field + ".role", "must be user or assistant (system only as the first message)");
    CACHECLIP_RETURN_IF_ERROR(CheckUtf8(field + ".content", messages[i].content));
    total_bytes += messages[i].content.size();
  }
  if (total_bytes > kMaxEncodeBytes)
    return FieldError(absl::StatusCode::kResourceExhausted, "messages",
                      absl::StrCat(total_bytes, " bytes of text; at most ", kMaxEncodeBytes));
  return absl::OkStatus();
}

// The last user message, which only an answer prefix may follow.
absl::StatusOr<int> FindQuestion(std::span<const ChatMessage> messages, size_t offset) {
  int question = static_cast<int>(messages.size()) - 1;
  const bool continues_answer = question > 0 && messages[question].role == "assistant";
  if (continues_answer) {
    if (messages[question].content.empty())
      return InvalidField(absl::StrCat("messages[", question + offset, "].content"),
                          "an answer to continue is empty");
    --question;
  }
  if (question < 0 || messages[question].role != "user")
    return InvalidField("messages", "need a question: a user message, last or before the answer to continue");
  if (IsBlank(messages[question].content))
    return InvalidField("messages", "the question (the last user message) is empty");
  return question;
}

// The message that holds the chunks and what precedes it; the user's turns are still to come.
std::vector<PromptMessage> OpeningMessages(const PrefixSpec& spec) {
  std::vector<PromptMessage> messages;
  if (spec.placement == PrefixSpec::Placement::kSystem) {
    const bool both = !spec.system_prompt.empty() && !spec.instruction.empty();
    messages.push_back(
        {"system", "", absl::StrCat(spec.system_prompt, both ? "\n\n" : "", spec.instruction)});
  } else if (!spec.system_prompt.empty()) {
    messages.push_back({"system", spec.system_prompt, std::nullopt});
  }
  return messages;
}

std::vector<PromptMessage> WholeConversation(const PrefixSpec& spec, std::span<const ChatMessage> messages) {
  std::vector<PromptMessage> conversation = OpeningMessages(spec);
  bool chunks_placed = spec.placement == PrefixSpec::Placement::kSystem;
  for (const ChatMessage& message : messages) {
    conversation.push_back({message.role, message.content, std::nullopt});
    if (chunks_placed || message.role != "user") continue;
    conversation.back().before_chunks = spec.instruction;
    chunks_placed = true;
  }
  return conversation;
}

std::string JoinedText(std::span<const PromptPiece> pieces) {
  std::string text;
  for (const PromptPiece& piece : pieces) text += piece.text;
  return text;
}

size_t ChunksPlace(const std::vector<PromptPiece>& pieces) {
  const auto is_chunks = [](const PromptPiece& piece) { return piece.author == Author::kChunks; };
  return std::ranges::find_if(pieces, is_chunks) - pieces.begin();
}

}  // namespace

PromptLayout::PromptLayout(std::shared_ptr<const Tokenizer> tokenizer,
                           std::shared_ptr<const ChatTemplate> chat_template)
    : tokenizer_(std::move(tokenizer)), template_(std::move(chat_template)), encoder_(tokenizer_.get()) {}

absl::StatusOr<std::vector<PromptPiece>> PromptLayout::PrefixPieces(const PrefixSpec& spec) const {
  CACHECLIP_RETURN_IF_ERROR(CheckSpec(spec));
  const std::vector<ChatMessage> user{
      {"user", "question"}};  // stands after the chunks: what it says is not used
  const std::vector<PromptMessage> messages = WholeConversation(spec, user);
  auto pieces = RenderPieces(*template_, messages, spec.template_time, /*continue_last=*/false);
  if (!pieces.ok() && messages.front().role == "system") {
    const std::vector<PromptMessage> without_system{{"user", "text", std::nullopt}};
    if (RenderPieces(*template_, without_system, spec.template_time, /*continue_last=*/false).ok())
      return absl::FailedPreconditionError(
          absl::StrCat("the chat template does not take a system message (", pieces.status().message(),
                       "): register the prefix with placement user and without a system prompt"));
  }
  CACHECLIP_RETURN_IF_ERROR(pieces.status());
  pieces->resize(ChunksPlace(*pieces));
  return pieces;
}

absl::StatusOr<std::vector<int32_t>> PromptLayout::PrefixIds(const PrefixSpec& spec) const {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<PromptPiece> pieces, PrefixPieces(spec));
  CACHECLIP_ASSIGN_OR_RETURN(EncodedPieces encoded, encoder_.Encode(pieces, TextStart::kBeginning));
  return std::move(encoded.ids);
}

absl::StatusOr<SuffixEncoding> PromptLayout::Suffix(const PrefixSpec& spec,
                                                    std::span<const ChatMessage> messages) const {
  const bool repeats_system = !messages.empty() && messages[0].role == "system";
  if (repeats_system && messages[0].content != spec.system_prompt)
    return InvalidField("messages[0].content", "differs from the system prompt of the registered prefix");
  const std::span<const ChatMessage> turns = messages.subspan(repeats_system ? 1 : 0);
  CACHECLIP_RETURN_IF_ERROR(CheckMessages(turns, repeats_system));
  CACHECLIP_ASSIGN_OR_RETURN(const int question, FindQuestion(turns, repeats_system));
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<PromptPiece> prefix, PrefixPieces(spec));

  const std::vector<PromptMessage> conversation = WholeConversation(spec, turns);
  const bool continue_last = turns.back().role == "assistant";
  auto pieces = RenderPieces(*template_, conversation, spec.template_time, continue_last);
  if (absl::IsFailedPrecondition(pieces.status()))  // the prefix alone was accepted, so it is these turns
    return InvalidField("messages", StdView(pieces.status().message()));
  CACHECLIP_RETURN_IF_ERROR(pieces.status());
  const size_t place = ChunksPlace(*pieces);
  const std::span<const PromptPiece> all(*pieces);
  if (JoinedText(all.first(place)) != JoinedText(prefix))
    return FieldError(absl::StatusCode::kFailedPrecondition, "messages",
                      absl::StrCat("chat template ", template_->name(),
                                   " changes the text before the chunks with the conversation"));

  CACHECLIP_ASSIGN_OR_RETURN(EncodedPieces encoded,
                             encoder_.Encode(all.subspan(place + 1), TextStart::kContinuation));
  const int question_index = static_cast<int>(conversation.size() - turns.size()) + question;
  const auto first = std::ranges::find(encoded.message_index, question_index);
  const auto last = std::find(encoded.message_index.rbegin(), encoded.message_index.rend(), question_index);
  if (first == encoded.message_index.end())
    return InvalidField("messages", "the question (the last user message) has no tokens");
  return SuffixEncoding{.ids = std::move(encoded.ids),
                        .question_begin = static_cast<int>(first - encoded.message_index.begin()),
                        .question_end = static_cast<int>(encoded.message_index.rend() - last)};
}

absl::StatusOr<Encoding> PromptLayout::ChunkIds(const PrefixSpec& spec, std::string_view text,
                                                std::string_view title) const {
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("separator", spec.separator));
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("title", title));
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("text", text));
  if (text.empty()) return InvalidField("text", "a chunk's text is empty");
  const std::string wrapped =
      absl::StrCat(AbslView(title), title.empty() ? "" : "\n", AbslView(text), spec.separator);
  auto encoding = tokenizer_->Encode(wrapped, SpecialTokens::kAsText, TextStart::kContinuation);
  if (!encoding.ok()) return WithContext(encoding.status(), "text");
  const uint32_t begin = static_cast<uint32_t>(title.empty() ? 0 : title.size() + 1);
  const uint32_t end = begin + static_cast<uint32_t>(text.size());
  for (TokenSpan& span : encoding->spans)
    span = {std::clamp(span.begin, begin, end) - begin, std::clamp(span.end, begin, end) - begin};
  return encoding;
}

}  // namespace cacheclip
