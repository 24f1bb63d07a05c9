// Splits one document (plain text or Markdown) into chunks of about `target_tokens`, at the strongest border
// of the text's own structure that is near: heading, paragraph, list item or line, sentence, word. A heading
// stays with the text that follows it; a tiny rest joins the chunk before it; nothing ever crosses a
// document's end.
//
//   DocumentChunker chunker(tokenizer, {.target_tokens = 256, .max_tokens = 512});
//   CACHECLIP_ASSIGN_OR_RETURN(auto chunks, chunker.Split(document, DocumentFormat::kMarkdown));
//
// Spans are exact: a chunk's text is document.substr(begin, end - begin). Chunks are in order and do not
// overlap; every byte is in exactly one of them, except white space between chunks and around the document.
// Concurrency: immutable, any number of threads. Limits: kMaxDocumentBytes; a chunk never exceeds max_tokens
// or kMaxChunkSpanBytes. Time is linear in the document, also for one word of 10 MB (see
// common/text/token_counter.h).
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/text_borders.h"
#include "common/text/token_counter.h"
#include "common/text/tokenizer.h"

namespace cacheclip {

inline constexpr size_t kMaxDocumentBytes = size_t{64} << 20;    // beyond: RESOURCE_EXHAUSTED
inline constexpr size_t kMaxChunkSpanBytes = size_t{256} << 10;  // bytes of the document that one chunk spans
inline constexpr int kMinTargetTokens =
    16;  // smaller targets are refused: a single character can have four tokens

struct ChunkerOptions {
  int target_tokens = 256;  // a chunk ends at the best border at or before this
  int max_tokens = 512;  // hard cap on a chunk's own text (title and separator come on top); >= target_tokens
  int min_tokens =
      32;  // a last chunk smaller than this joins the one before, if that stays within max_tokens
};

struct DocumentChunk {
  size_t begin = 0, end = 0;  // bytes of the document
  int num_tokens = 0;         // of exactly this text, tokenised on its own
};

class DocumentChunker {
 public:
  DocumentChunker(std::shared_ptr<const Tokenizer> tokenizer, ChunkerOptions options);

  // INVALID_ARGUMENT: not UTF-8, or options that contradict each other. A document of white space has no
  // chunks.
  absl::StatusOr<std::vector<DocumentChunk>> Split(std::string_view document, DocumentFormat format) const;

 private:
  struct Source;
  absl::StatusOr<DocumentChunk> NextChunk(const Source& source, size_t begin) const;
  size_t ChooseEnd(const Source& source, size_t begin, int target_tokens) const;
  absl::StatusOr<DocumentChunk> Measure(std::string_view document, size_t begin, size_t end) const;
  absl::Status MergeTinyTail(std::string_view document, std::vector<DocumentChunk>& chunks) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  ChunkerOptions options_;
};

}  // namespace cacheclip
