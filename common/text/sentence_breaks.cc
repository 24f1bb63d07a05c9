#include "common/text/sentence_breaks.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace cacheclip {
namespace {

// How vocabularies write white space: byte-level BPE (Ġ, Ċ), SentencePiece (▁, <0x0A>).
constexpr std::string_view kSpaces[] = {"\u0120", "\u2581", " ", "\u010a", "\n", "<0x0A>", "\u0109", "\t"};
constexpr std::string_view kLineBreaks[] = {"\u010a", "\n", "<0x0A>"};
constexpr std::string_view kClosing = "\"')]}*_`";
constexpr std::string_view kEnds = ".!?";

bool IsClosing(char c) { return kClosing.find(c) != std::string_view::npos; }

bool EndsSentence(std::string_view token) {
  while (!token.empty() && IsClosing(token.back())) token.remove_suffix(1);
  return !token.empty() && kEnds.find(token.back()) != std::string_view::npos;
}

}  // namespace

SentenceBreaks::SentenceBreaks(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)), traits_(static_cast<size_t>(tokenizer_->vocab_size())) {}

uint8_t SentenceBreaks::Traits(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= traits_.size()) return kKnown;
  std::atomic<uint8_t>& slot = traits_[static_cast<size_t>(id)];
  if (const uint8_t known = slot.load(std::memory_order_relaxed); known != 0) return known;
  uint8_t traits = kKnown;
  const auto token = tokenizer_->IdToToken(id);
  if (token.ok()) {
    if (EndsSentence(*token)) traits |= kEndsSentence;
    if (std::ranges::all_of(*token, IsClosing)) traits |= kIsClosing;
    for (const std::string_view space : kSpaces)
      if (token->starts_with(space)) traits |= kStartsWithSpace;
    for (const std::string_view line_break : kLineBreaks)
      if (token->find(line_break) != std::string::npos) traits |= kHasLineBreak;
  }
  slot.store(traits, std::memory_order_relaxed);
  return traits;
}

std::vector<int32_t> SentenceBreaks::Begins(std::span<const std::vector<int32_t>> chunks) const {
  std::vector<int32_t> begins;
  int32_t index = 0;
  for (const std::vector<int32_t>& chunk : chunks) {
    uint8_t before = kHasLineBreak;
    for (const int32_t id : chunk) {
      const uint8_t traits = Traits(id);
      const bool has_line_break = (traits & kHasLineBreak) != 0;
      const bool is_break = (before & kHasLineBreak) != 0 && !has_line_break;
      const bool is_sentence =
          (before & kEndsSentence) != 0 && (traits & kStartsWithSpace) != 0 && !has_line_break;
      const bool is_long = !begins.empty() && index - begins.back() >= kMaxSentenceTokens;
      if (is_break || is_sentence || is_long) begins.push_back(index);
      const bool stays_ended = (traits & kIsClosing) != 0 && (before & kEndsSentence) != 0;
      before = stays_ended ? traits | kEndsSentence : traits;
      ++index;
    }
  }
  return begins;
}

}  // namespace cacheclip
