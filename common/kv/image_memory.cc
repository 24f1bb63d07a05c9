#include "common/kv/image_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/kv/chunk_format.h"

namespace cacheclip {
namespace {

constexpr int64_t kHugePageBytes = int64_t{2} << 20;

int64_t RoundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

absl::StatusOr<AlignedBytes> AllocateOnHeap(int64_t num_bytes) {
  const int64_t rounded = RoundUp(num_bytes, kChunkAlignment);
  void* const memory = std::aligned_alloc(kChunkAlignment, rounded);
  if (memory == nullptr)
    return absl::ResourceExhaustedError(absl::StrCat("no memory for a chunk of ", num_bytes, " bytes"));
  std::memset(memory, 0, rounded);
  return AlignedBytes{std::shared_ptr<std::byte[]>(static_cast<std::byte*>(memory), std::free), num_bytes};
}

}  // namespace

absl::StatusOr<AlignedBytes> AllocateImage(int64_t num_bytes) {
  if (num_bytes < kHugePageBytes) return AllocateOnHeap(num_bytes);
  const int64_t image_bytes = RoundUp(num_bytes, ::sysconf(_SC_PAGESIZE));
  const int64_t mapped_bytes = image_bytes + kHugePageBytes;  // room to begin on the border of a huge page
  void* const mapping =
      ::mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return AllocateOnHeap(num_bytes);  // mappings are counted, the heap is not
  auto* const begin = static_cast<std::byte*>(mapping);
  const int64_t before =
      RoundUp(reinterpret_cast<intptr_t>(begin), kHugePageBytes) - reinterpret_cast<intptr_t>(begin);
  std::byte* const image = begin + before;
  // What is left over would let the kernel put a huge page under the image's end.
  if (before > 0) ::munmap(begin, before);
  ::munmap(image + image_bytes, kHugePageBytes - before);
  ::madvise(image, image_bytes, MADV_HUGEPAGE);  // a hint: ordinary pages do as well
  const auto unmap = [image_bytes](std::byte* bytes) { ::munmap(bytes, image_bytes); };
  return AlignedBytes{std::shared_ptr<std::byte[]>(image, unmap), num_bytes};
}

}  // namespace cacheclip
