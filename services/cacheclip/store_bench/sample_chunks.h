// Chunks to measure stores with: a given shape, made-up ids and numbers of the size that keys and values have
// (no denormals, which would slow rotation down, and nothing that compresses). Values only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/kv/encoded_chunk.h"

namespace cacheclip {

using SampleChunks = std::vector<std::shared_ptr<const EncodedChunk>>;

// `salt` decides the keys, so that two runs on one server do not meet.
absl::StatusOr<SampleChunks> MakeSampleChunks(const KvShape& shape, int num_tokens, int num_chunks,
                                              const std::string& salt);

int64_t TotalBytes(const SampleChunks& chunks);  // of the images

}  // namespace cacheclip
