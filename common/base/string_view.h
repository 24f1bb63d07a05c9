// The two string views of the build and the way between them. Our interfaces use std::string_view; Debian's
// Abseil has a view type of its own, which converts neither way by itself. StrCat("x", AbslView(name)),
// StdView(status.message()). Values only; thread-safe. Where Abseil's view is std::string_view both functions
// return their argument.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace cacheclip {

inline absl::string_view AbslView(std::string_view view) { return {view.data(), view.size()}; }
inline std::string_view StdView(absl::string_view view) { return {view.data(), view.size()}; }

}  // namespace cacheclip
