// A request's prompt, ready to be planned: the prefix, its chunks resolved to tokens and keys, the suffix,
// the question's text, and the room that prompt and answer need, checked against the model's context length.
// No model work; thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/engine/chunk_source.h"
#include "common/engine/generate_request.h"
#include "common/ingest/prefix_context.h"
#include "common/model/prompt_tokens.h"

namespace cacheclip {

struct PreparedPrompt {
  std::shared_ptr<PrefixContext> prefix;
  std::vector<ResolvedChunk> chunks;
  PromptTokens tokens;
  std::string question;                 // for a selector
  int32_t capacity = 0;                 // tokens of prompt and answer
  bool first_chunk_selectable = false;  // it does not stand behind its own prefix
};

// `request` has been validated. INVALID_ARGUMENT names what is too long ("options.max_new_tokens", "chunks",
// "messages") and by how much; the other errors are those of PrefixContexts::Get(), ChunkSource::Resolve(),
// PromptLayout::Suffix().
absl::StatusOr<PreparedPrompt> PreparePrompt(PrefixContexts& contexts, const ChunkSource& source,
                                             const GenerateRequest& request);

}  // namespace cacheclip
