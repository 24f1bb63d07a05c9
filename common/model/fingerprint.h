// The identity of a model's weights: SHA-256 over config.json and the content of every tensor (name, dtype,
// shape, bytes). Two folders with the same weights get the same fingerprint whatever their file layout; one
// changed bit changes it. Hashing 100 M parameters takes a fraction of a second, large models take long, so
// the result is cached in
// `<cache_directory>/fingerprints/` by path, size and modification time. Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/base/hash.h"
#include "common/model/safetensors.h"

namespace cacheclip {

// Digest of the weights in `directory`. `cache_directory` may be "" (no cache). A cache that cannot be
// written is ignored.
absl::StatusOr<Digest> WeightsFingerprint(const std::string& directory, const Checkpoint& checkpoint,
                                          const std::string& cache_directory);

}  // namespace cacheclip
