// How many tokens any stretch of a document has, after tokenising the document once. The document is
// tokenised in windows, so that memory and time stay linear: a window ends at white space, or inside a word
// that is longer than kMaxWordBytes (tokenisers take more than linear time in the length of a word). Counts
// are therefore estimates that differ by a few tokens from tokenising the stretch alone.
//
// Concurrency: immutable after Create.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/tokenizer.h"

namespace cacheclip {

inline constexpr size_t kCountWindowBytes = size_t{64} << 10;
inline constexpr size_t kMaxWordBytes = size_t{4} << 10;

class TokenCounter {
 public:
  // `text` is valid UTF-8, at most 4 GiB.
  static absl::StatusOr<TokenCounter> Create(const Tokenizer& tokenizer, std::string_view text);

  int Count(size_t begin, size_t end) const;
  // The byte at which token number `num_tokens` after `begin` starts; the text's end if there are not so
  // many.
  size_t Advance(size_t begin, int num_tokens) const;

 private:
  size_t num_bytes_ = 0;
  std::vector<uint32_t> starts_;  // first byte of every token, ascending
};

}  // namespace cacheclip
