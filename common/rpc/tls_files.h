// Reads the PEM files that servers and clients are configured with. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace cacheclip {

struct KeyPair {
  std::string certificate, key;  // PEM text; both empty if neither file was named
};

// INVALID_ARGUMENT if only one is named; errors name the option: "<prefix>certificate" or "<prefix>key".
absl::StatusOr<KeyPair> ReadKeyPair(std::string_view prefix, const std::string& certificate_file,
                                    const std::string& key_file);

// "" for "". Errors name the option.
absl::StatusOr<std::string> ReadPem(std::string_view option, const std::string& file);

}  // namespace cacheclip
