#include "common/kv/image_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/kv/chunk_format.h"

namespace cacheclip {
namespace {

constexpr int64_t kHugePageBytes = int64_t{2} << 20;

int64_t RoundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

struct Mapping {
  std::byte* image = nullptr;
  int64_t num_bytes = 0;  // whole pages
};

class SpareImages {
 public:
  // One that `num_bytes` fill to seven eighths at least.
  std::optional<Mapping> Take(int64_t num_bytes) {
    const std::lock_guard lock(mutex_);
    for (Mapping& spare : spares_) {
      if (spare.num_bytes < num_bytes || spare.num_bytes - num_bytes > spare.num_bytes / 8) continue;
      const Mapping taken = std::exchange(spare, spares_.back());
      spares_.pop_back();
      num_bytes_ -= taken.num_bytes;
      return taken;
    }
    return std::nullopt;
  }

  bool Keep(Mapping mapping) {
    const std::lock_guard lock(mutex_);
    if (num_bytes_ + mapping.num_bytes > kMaxSpareImageBytes) return false;
    spares_.push_back(mapping);
    num_bytes_ += mapping.num_bytes;
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<Mapping> spares_;
  int64_t num_bytes_ = 0;
};

SpareImages& Spares() {
  static auto* const spares = new SpareImages;  // images may go after the end of main()
  return *spares;
}

AlignedBytes Own(Mapping mapping, int64_t num_bytes) {
  const auto give_back = [mapping](std::byte*) {
    if (!Spares().Keep(mapping)) ::munmap(mapping.image, mapping.num_bytes);
  };
  return {std::shared_ptr<std::byte[]>(mapping.image, give_back), num_bytes};
}

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
  return Own({image, image_bytes}, num_bytes);
}

absl::StatusOr<AlignedBytes> AllocateImageToFill(int64_t num_bytes) {
  if (num_bytes >= kHugePageBytes)
    if (const auto spare = Spares().Take(num_bytes)) return Own(*spare, num_bytes);
  return AllocateImage(num_bytes);
}

}  // namespace cacheclip
