#include "common/engine/prompt_builder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

absl::Status UseTokenIds(const Runtime& runtime, const GenerateRequest& request, PreparedPrompt& prompt) {
  for (size_t i = 0; i < request.token_ids.size(); ++i) {
    const int32_t id = request.token_ids[i];
    if (id < 0 || id >= runtime.model->config().vocab_size)
      return InvalidField(absl::StrCat("token_ids[", i, "]"), absl::StrCat(id, " is no token of this model"));
  }
  prompt.tokens.suffix_ids = request.token_ids;
  prompt.tokens.question_end = static_cast<int32_t>(request.token_ids.size());
  CACHECLIP_ASSIGN_OR_RETURN(prompt.question,
                             runtime.tokenizer->Decode(request.token_ids, /*skip_special=*/true));
  return absl::OkStatus();
}

absl::Status UseMessages(const Runtime& runtime, const GenerateRequest& request, PreparedPrompt& prompt) {
  CACHECLIP_ASSIGN_OR_RETURN(SuffixEncoding suffix,
                             runtime.layout->Suffix(prompt.prefix->spec(), request.messages));
  prompt.tokens.suffix_ids = std::move(suffix.ids);
  prompt.tokens.question_begin = suffix.question_begin;
  prompt.tokens.question_end = suffix.question_end;
  const auto is_user = [](const ChatMessage& message) { return message.role == "user"; };
  const auto question = std::find_if(request.messages.rbegin(), request.messages.rend(), is_user);
  if (question != request.messages.rend()) prompt.question = question->content;
  return absl::OkStatus();
}

absl::Status CheckLength(const PromptTokens& tokens, int64_t max_new_tokens, int64_t max_positions) {
  const int64_t total = tokens.size() + max_new_tokens;
  if (total <= max_positions) return absl::OkStatus();
  const int64_t without_chunks = tokens.size() - tokens.context_size();
  const char* field = tokens.size() < max_positions    ? "options.max_new_tokens"
                      : without_chunks < max_positions ? "chunks"
                                                       : "messages";
  return InvalidField(
      field, absl::StrCat("prefix (", tokens.prefix_size(), "), chunks (", tokens.context_size(),
                          "), messages (", tokens.suffix_ids.size(), ") and answer (", max_new_tokens,
                          ") come to ", total, " tokens, ", total - max_positions,
                          " more than the model's context length of ", max_positions));
}

}  // namespace

absl::StatusOr<PreparedPrompt> PreparePrompt(PrefixContexts& contexts, const ChunkSource& source,
                                             const GenerateRequest& request) {
  const Runtime& runtime = contexts.runtime();
  PreparedPrompt prompt;
  CACHECLIP_ASSIGN_OR_RETURN(prompt.prefix, contexts.Get(request.namespace_name, request.prefix_id));
  CACHECLIP_RETURN_IF_ERROR(request.token_ids.empty() ? UseMessages(runtime, request, prompt)
                                                      : UseTokenIds(runtime, request, prompt));
  CACHECLIP_ASSIGN_OR_RETURN(
      prompt.chunks, source.Resolve(prompt.prefix, request.chunks, request.options.allow_other_prefix));
  prompt.first_chunk_selectable = !prompt.chunks.empty() && prompt.chunks.front().other_prefix;
  prompt.tokens.prefix_ids.assign(prompt.prefix->ids().begin(), prompt.prefix->ids().end());
  for (const ResolvedChunk& chunk : prompt.chunks) prompt.tokens.chunk_ids.push_back(chunk.encoding.ids);
  CACHECLIP_RETURN_IF_ERROR(
      CheckLength(prompt.tokens, request.options.max_new_tokens, runtime.model->config().max_positions));
  prompt.capacity = prompt.tokens.size() + request.options.max_new_tokens;
  return prompt;
}

}  // namespace cacheclip
