// Where in a text a token came from. A plain value, shared by tokenisation (common/text) and stored chunks
// (common/kv).
#pragma once

#include <cstdint>

namespace cacheclip {

// UTF-8 byte offsets, half open, always on character borders. Zero width: the token stands for no text of its
// own (separator, wrapper). Several tokens may share a span: the bytes of one emoji.
struct TokenSpan {
  uint32_t begin = 0;
  uint32_t end = 0;

  bool empty() const { return begin >= end; }
  bool operator==(const TokenSpan&) const = default;
};

}  // namespace cacheclip
