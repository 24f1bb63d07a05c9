// White space as Python's str.strip() sees it, which is what chat templates' `trim` means. UTF-8; pure
// functions.
#pragma once

#include <cstddef>
#include <string_view>

namespace cacheclip {

// Bytes of leading / trailing white space of valid UTF-8.
size_t LeadingSpaceBytes(std::string_view text);
size_t TrailingSpaceBytes(std::string_view text);

}  // namespace cacheclip
