// Memory for the image of a chunk that comes from the network. Large images are mapped with huge pages and
// not written before the bytes arrive: faulting in 4 KiB pages one by one costs more than receiving them.
// Thread-safe.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/kv/chunk_builder.h"

namespace cacheclip {

// Zeroed, aligned to kChunkAlignment at least. RESOURCE_EXHAUSTED when memory is out.
absl::StatusOr<AlignedBytes> AllocateImage(int64_t num_bytes);

}  // namespace cacheclip
