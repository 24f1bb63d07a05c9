#include "common/text/white_space.h"

#include <cstdint>

namespace cacheclip {
namespace {

bool IsSpace(uint32_t code_point) {
  if (code_point <= 0x20) return (code_point >= 0x09 && code_point <= 0x0d) || code_point >= 0x1c;
  switch (code_point) {
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000:
      return true;
    default:
      return code_point >= 0x2000 && code_point <= 0x200a;
  }
}

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

// The character of `length` bytes at `text[begin]`. White space has at most three bytes; longer ones read as
// 0xffff.
uint32_t CodePoint(std::string_view text, size_t begin, size_t length) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[begin + i])); };
  if (length == 1) return byte(0);
  if (length == 2) return (byte(0) & 0x1f) << 6 | (byte(1) & 0x3f);
  if (length == 3) return (byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
  return 0xffff;
}

}  // namespace

size_t LeadingSpaceBytes(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end = begin + 1;
    while (end < text.size() && IsContinuation(text[end])) ++end;
    if (!IsSpace(CodePoint(text, begin, end - begin))) break;
    begin = end;
  }
  return begin;
}

size_t TrailingSpaceBytes(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && IsContinuation(text[begin])) --begin;
    if (!IsSpace(CodePoint(text, begin, end - begin))) break;
    end = begin;
  }
  return text.size() - end;
}

}  // namespace cacheclip
