#include "common/store/remote/image_memory.h"

#include <cstdint>

#include <sys/mman.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace cacheclip {
namespace {

constexpr int64_t kHugePageBytes = int64_t{2} << 20;

}  // namespace

absl::StatusOr<AlignedBytes> AllocateImage(int64_t num_bytes) {
  if (num_bytes < kHugePageBytes) return AllocateAligned(num_bytes);
  // Room to begin on the border of a huge page; what is never touched costs nothing.
  const size_t mapped_bytes = static_cast<size_t>(num_bytes + kHugePageBytes);
  void* const mapping =
      ::mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    return absl::ResourceExhaustedError(absl::StrCat("no memory for a chunk of ", num_bytes, " bytes"));
  const auto address = reinterpret_cast<uintptr_t>(mapping);
  const uintptr_t begin = (address + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  ::madvise(reinterpret_cast<void*>(begin), num_bytes, MADV_HUGEPAGE);  // a hint: ordinary pages do as well
  const auto unmap = [mapping, mapped_bytes](std::byte*) { ::munmap(mapping, mapped_bytes); };
  return AlignedBytes{std::shared_ptr<std::byte[]>(reinterpret_cast<std::byte*>(begin), unmap), num_bytes};
}

}  // namespace cacheclip
