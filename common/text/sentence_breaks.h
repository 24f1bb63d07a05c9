// Where sentences begin, told from token ids alone: a token that ends with . ! ? (and closing quotes or
// brackets) before a token that starts with white space, or a line break. Good enough for grouping tokens: an
// abbreviation makes a short sentence, a table of numbers one per line. Sentences longer than
// kMaxSentenceTokens are cut. Each token's text is looked at once. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/text/tokenizer.h"

namespace cacheclip {

class SentenceBreaks {
 public:
  static constexpr int kMaxSentenceTokens = 48;

  explicit SentenceBreaks(std::shared_ptr<const Tokenizer> tokenizer);

  // Sorted indices at which a sentence begins, counted over all `chunks`; every chunk begins one.
  std::vector<int32_t> Begins(std::span<const std::vector<int32_t>> chunks) const;

 private:
  // What a token's text says about sentences; bits.
  static constexpr uint8_t kKnown = 1, kEndsSentence = 2, kStartsWithSpace = 4, kHasLineBreak = 8,
                           kIsClosing = 16;
  uint8_t Traits(int32_t id) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  mutable std::vector<std::atomic<uint8_t>> traits_;  // by id; 0: not looked at yet
};

}  // namespace cacheclip
