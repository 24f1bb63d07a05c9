#include "common/text/document_chunker.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {

// A document with what is known about it.
struct DocumentChunker::Source {
  std::string_view text;
  std::vector<TextBorder> borders;
  TokenCounter counter;
};

namespace {

bool IsSpace(char byte) { return absl::ascii_isspace(static_cast<unsigned char>(byte)); }
bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

// Skips white space, but keeps the indentation of the first line: it means something in lists and code.
size_t SkipSpace(std::string_view text, size_t begin) {
  size_t at = begin, line = begin;
  for (; at < text.size() && IsSpace(text[at]); ++at) {
    if (text[at] == '\n') line = at + 1;
  }
  if (at == text.size()) return at;
  const bool at_line_start = line > begin || begin == 0 || text[begin - 1] == '\n';
  return at_line_start ? line : at;
}

size_t CharacterBorder(std::string_view text, size_t begin, size_t end) {
  while (end > begin && end < text.size() && IsContinuation(text[end])) --end;
  if (end > begin) return end;
  for (++end; end < text.size() && IsContinuation(text[end]);) ++end;  // at least one character
  return end;
}

// The strongest border in (low, high], the last of equals; nullptr: none of at least `weakest`.
const TextBorder* Strongest(const std::vector<TextBorder>& borders, size_t low, size_t high,
                            BorderStrength weakest) {
  const TextBorder* best = nullptr;
  for (auto border = std::ranges::upper_bound(borders, low, {}, &TextBorder::offset);
       border != borders.end() && border->offset <= high; ++border) {
    if (border->strength >= weakest && (best == nullptr || border->strength >= best->strength))
      best = &*border;
  }
  return best;
}

const TextBorder* First(const std::vector<TextBorder>& borders, size_t low, size_t high,
                        BorderStrength weakest) {
  for (auto border = std::ranges::upper_bound(borders, low, {}, &TextBorder::offset);
       border != borders.end() && border->offset <= high; ++border) {
    if (border->strength >= weakest) return &*border;
  }
  return nullptr;
}

absl::Status CheckOptions(const ChunkerOptions& options) {
  if (options.target_tokens < kMinTargetTokens)
    return InvalidField("target_tokens",
                        absl::StrCat("must be at least ", kMinTargetTokens, ", got ", options.target_tokens));
  if (options.max_tokens < options.target_tokens)
    return InvalidField("max_tokens", absl::StrCat("must be at least target_tokens (", options.target_tokens,
                                                   "), got ", options.max_tokens));
  if (options.min_tokens < 0 || options.min_tokens > options.target_tokens)
    return InvalidField("min_tokens",
                        absl::StrCat("must be between 0 and target_tokens, got ", options.min_tokens));
  return absl::OkStatus();
}

}  // namespace

DocumentChunker::DocumentChunker(std::shared_ptr<const Tokenizer> tokenizer, ChunkerOptions options)
    : tokenizer_(std::move(tokenizer)), options_(options) {}

absl::StatusOr<std::vector<DocumentChunk>> DocumentChunker::Split(std::string_view document,
                                                                  DocumentFormat format) const {
  CACHECLIP_RETURN_IF_ERROR(CheckOptions(options_));
  if (document.size() > kMaxDocumentBytes)
    return FieldError(absl::StatusCode::kResourceExhausted, "text",
                      absl::StrCat("a document of ", document.size(), " bytes; at most ", kMaxDocumentBytes));
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("text", document));
  CACHECLIP_ASSIGN_OR_RETURN(TokenCounter counter, TokenCounter::Create(*tokenizer_, document));
  const Source source{document, FindBorders(document, format), std::move(counter)};
  std::vector<DocumentChunk> chunks;
  for (size_t begin = SkipSpace(document, 0); begin < document.size();) {
    CACHECLIP_ASSIGN_OR_RETURN(const DocumentChunk chunk, NextChunk(source, begin));
    chunks.push_back(chunk);
    begin = SkipSpace(document, chunk.end);
  }
  CACHECLIP_RETURN_IF_ERROR(MergeTinyTail(document, chunks));
  return chunks;
}

absl::StatusOr<DocumentChunk> DocumentChunker::NextChunk(const Source& source, size_t begin) const {
  // The counter's numbers are estimates: where the exact number breaks the cap, ask for as many fewer.
  for (int target_tokens = options_.target_tokens;;) {
    const size_t end = ChooseEnd(source, begin, target_tokens);
    CACHECLIP_ASSIGN_OR_RETURN(const DocumentChunk chunk, Measure(source.text, begin, end));
    if (chunk.num_tokens <= options_.max_tokens) return chunk;
    if (target_tokens == 1)
      return absl::FailedPreconditionError(absl::StrCat("one character at byte ", begin, " has ",
                                                        chunk.num_tokens, " tokens, more than max_tokens ",
                                                        options_.max_tokens));
    target_tokens =
        std::max(1, target_tokens - std::max(chunk.num_tokens - options_.max_tokens, target_tokens / 8));
  }
}

size_t DocumentChunker::ChooseEnd(const Source& source, size_t begin, int target_tokens) const {
  const std::string_view text = source.text;
  // A retry with a lower target must not reach further than before.
  const bool first_try = target_tokens == options_.target_tokens;
  const int rest_tokens =
      first_try ? std::min(options_.max_tokens, target_tokens + options_.min_tokens) : target_tokens;
  const size_t byte_limit = std::min(text.size(), begin + kMaxChunkSpanBytes);
  if (source.counter.Count(begin, text.size()) <= rest_tokens && byte_limit == text.size())
    return text.size();
  const size_t limit = std::min(byte_limit, source.counter.Advance(begin, target_tokens));
  const size_t half = std::min(limit, source.counter.Advance(begin, target_tokens / 2));
  const size_t cap =
      first_try ? std::min(byte_limit, source.counter.Advance(begin, options_.max_tokens)) : limit;
  if (const auto* border = Strongest(source.borders, half, limit, BorderStrength::kSentence))
    return border->offset;
  if (const auto* border = First(source.borders, limit, cap, BorderStrength::kSentence))
    return border->offset;
  if (const auto* border = Strongest(source.borders, half, limit, BorderStrength::kWrappedLine))
    return border->offset;
  for (size_t at = limit; at > half; --at) {
    if (at < text.size() && IsSpace(text[at])) return at;
  }
  return CharacterBorder(text, begin, limit);
}

absl::StatusOr<DocumentChunk> DocumentChunker::Measure(std::string_view document, size_t begin,
                                                       size_t end) const {
  while (end > begin && IsSpace(document[end - 1])) --end;
  CACHECLIP_ASSIGN_OR_RETURN(const Encoding encoding, tokenizer_->Encode(document.substr(begin, end - begin),
                                                                         Tokenizer::SpecialTokens::kAsText));
  return DocumentChunk{.begin = begin, .end = end, .num_tokens = static_cast<int>(encoding.ids.size())};
}

absl::Status DocumentChunker::MergeTinyTail(std::string_view document,
                                            std::vector<DocumentChunk>& chunks) const {
  if (chunks.size() < 2 || chunks.back().num_tokens >= options_.min_tokens) return absl::OkStatus();
  const size_t begin = chunks[chunks.size() - 2].begin;
  if (chunks.back().end - begin > kMaxChunkSpanBytes) return absl::OkStatus();
  CACHECLIP_ASSIGN_OR_RETURN(const DocumentChunk merged, Measure(document, begin, chunks.back().end));
  if (merged.num_tokens > options_.max_tokens) return absl::OkStatus();
  chunks.pop_back();
  chunks.back() = merged;
  return absl::OkStatus();
}

}  // namespace cacheclip
