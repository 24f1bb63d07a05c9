// Memory for the image of a chunk that is not a mapped file. Zeros, without being written for it: the pages
// come from the kernel when they are first touched. Large images begin on the border of a huge page and are
// mapped with huge pages as far as they fill them (faulting in 4 KiB pages one by one costs more than
// receiving or copying the bytes), so that an image takes no more memory than its bytes, rounded up to a
// page. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"

namespace cacheclip {

// The owner of an image on the heap.
struct AlignedBytes {
  std::shared_ptr<std::byte[]> data;
  int64_t num_bytes = 0;
  std::span<std::byte> span() const { return {data.get(), static_cast<size_t>(num_bytes)}; }
};

// Zeroed, aligned to kChunkAlignment at least. RESOURCE_EXHAUSTED when memory is out.
absl::StatusOr<AlignedBytes> AllocateImage(int64_t num_bytes);

// The same for a caller who writes every byte before anybody reads one: a large image may be the memory of
// one that has gone, with what that held. Having the kernel clear new pages takes a third of the time of
// receiving a chunk.
absl::StatusOr<AlignedBytes> AllocateImageToFill(int64_t num_bytes);

// Large images that have gone are kept for the next ones up to this many bytes of a process.
inline constexpr int64_t kMaxSpareImageBytes = int64_t{64} << 20;

}  // namespace cacheclip
