// The selection methods by name: ids as they stand in requests, configuration, metrics and reports. A new
// method is one enumerator and one line of the table in method.cc (and the file that implements it).
// Thread-safe: constants only.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace cacheclip {

enum class Method {
  kAuto,
  kAuxiliary,
  kAuxiliaryPaper,
  kPrimaryProbe,
  kKvDeviation,
  kChunkHead,
  kRandom,
  kNone,
  kFull,
};

struct MethodInfo {
  Method method;
  std::string_view id;       // "primary_probe"
  std::string_view summary;  // one line for --help and GetModelInfo
};

std::span<const MethodInfo> AllMethods();  // every method, in the order of the enumeration

std::string_view MethodId(Method method);

// INVALID_ARGUMENT naming "options.method" and listing the known ids.
absl::StatusOr<Method> ParseMethod(std::string_view id);

std::string KnownMethodIds();  // "auto, auxiliary, …"

}  // namespace cacheclip
