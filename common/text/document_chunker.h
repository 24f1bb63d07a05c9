// Splits one document (plain text or Markdown) into chunks of about `target_tokens`, at the strongest border of the
// text's own structure that is near: heading, paragraph, list item or line, sentence, word. A heading stays with the
// text that follows it; a tiny rest joins the chunk before it; nothing ever crosses a document's end.
//
//   DocumentChunker chunker(tokenizer, {.target_tokens = 256, .max_tokens = 512});
//   for (const DocumentChunk& chunk : *chunker.Split(document)) Use(document.substr(chunk.begin, …));
//
// Spans are exact: a chunk's text is document.substr(begin, end - begin). Chunks are in order and do not overlap;
// every byte is in exactly one of them, except blank lines before and white space after a chunk.
// Concurrency: immutable, any number of threads. Limits: kMaxDocumentBytes; a chunk never exceeds max_tokens or
// kMaxChunkSpanBytes. Time is linear in the document, also for one word of 10 MB (see common/text/token_counter.h).
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/tokenizer.h"

namespace cacheclip {

inline constexpr size_t kMaxDocumentBytes = size_t{64} << 20;  // beyond: RESOURCE_EXHAUSTED
inline constexpr size_t kMaxChunkSpanBytes = size_t{256} << 10;

enum class DocumentFormat { kPlainText, kMarkdown };

struct ChunkerOptions {
  int target_tokens = 256;  // a chunk ends at the best border at or before this
  int max_tokens = 512;     // hard cap on a chunk's own text (title and separator come on top); >= target_tokens
  int min_tokens = 32;      // a last chunk smaller than this joins the one before, if that stays within max_tokens
};

struct DocumentChunk {
  size_t begin = 0, end = 0;  // bytes of the document
  int num_tokens = 0;         // of exactly this text, tokenised on its own
};

class DocumentChunker {
 public:
  DocumentChunker(std::shared_ptr<const Tokenizer> tokenizer, ChunkerOptions options);

  // INVALID_ARGUMENT: not UTF-8, or options that contradict each other. A document of white space has no chunks.
  absl::StatusOr<std::vector<DocumentChunk>> Split(std::string_view document, DocumentFormat format) const;

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  ChunkerOptions options_;
};

}  // namespace cacheclip
