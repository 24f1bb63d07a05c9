#include "common/text/token_counter.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

// Where the window that starts at `begin` ends: before the last white space that fits, or at a character
// border.
size_t WindowEnd(std::string_view text, size_t begin) {
  const size_t limit = std::min(text.size(), begin + kCountWindowBytes);
  size_t word = begin, at = begin;
  for (; at < limit && at - word < kMaxWordBytes; ++at) {
    if (absl::ascii_isspace(static_cast<unsigned char>(text[at]))) word = at;
  }
  if (at == text.size()) return at;
  if (at == limit && word > begin) return word;
  while (at > begin + 1 && IsContinuation(text[at])) --at;
  return at;
}

}  // namespace

absl::StatusOr<TokenCounter> TokenCounter::Create(const Tokenizer& tokenizer, std::string_view text) {
  TokenCounter counter;
  counter.num_bytes_ = text.size();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = WindowEnd(text, begin);
    CACHECLIP_ASSIGN_OR_RETURN(const Encoding encoding, tokenizer.Encode(text.substr(begin, end - begin),
                                                                         Tokenizer::SpecialTokens::kAsText));
    for (const TokenSpan& span : encoding.spans) {
      const uint32_t previous = counter.starts_.empty() ? 0 : counter.starts_.back();
      counter.starts_.push_back(std::max(previous, static_cast<uint32_t>(begin + span.begin)));
    }
    begin = end;
  }
  return counter;
}

int TokenCounter::Count(size_t begin, size_t end) const {
  return static_cast<int>(std::ranges::lower_bound(starts_, end) - std::ranges::lower_bound(starts_, begin));
}

size_t TokenCounter::Advance(size_t begin, int num_tokens) const {
  const auto first = std::ranges::lower_bound(starts_, begin);
  return starts_.end() - first <= num_tokens ? num_bytes_ : *(first + num_tokens);
}

}  // namespace cacheclip
