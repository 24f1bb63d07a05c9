#include "common/model/weight_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include <ATen/ops/from_blob.h>

namespace cacheclip {
namespace {

constexpr int64_t kBlockBytes = int64_t{32} << 20;
constexpr int64_t kHugePageBytes = int64_t{2} << 20;
constexpr int64_t kAlignment = 64;

int64_t RoundedUp(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

// Anonymous pages come only when touched: what is left of the last block costs nothing.
struct WeightArena::Block {
  explicit Block(int64_t bytes) : num_bytes(RoundedUp(bytes, kHugePageBytes) + kHugePageBytes) {
    memory = ::mmap(nullptr, static_cast<size_t>(num_bytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();                  // as a tensor's own allocation would
    ::madvise(memory, static_cast<size_t>(num_bytes), MADV_HUGEPAGE);  // a wish
    const int64_t address = reinterpret_cast<int64_t>(memory);
    begin = static_cast<std::byte*>(memory) + (RoundedUp(address, kHugePageBytes) - address);
  }
  ~Block() { ::munmap(memory, static_cast<size_t>(num_bytes)); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  int64_t capacity() const { return num_bytes - (begin - static_cast<std::byte*>(memory)); }

  const int64_t num_bytes;
  void* memory;
  std::byte* begin;  // on a huge page's boundary
};

at::Tensor WeightArena::Take(int64_t num_bytes) {
  const int64_t wanted = RoundedUp(std::max<int64_t>(num_bytes, 1), kAlignment);
  if (block_ == nullptr || used_ + wanted > block_->capacity()) {
    block_ = std::make_shared<Block>(std::max(wanted, kBlockBytes));
    used_ = 0;
  }
  std::byte* const begin = block_->begin + used_;
  used_ += wanted;
  return at::from_blob(
      begin, {num_bytes}, [block = block_](void*) {}, at::TensorOptions().dtype(at::kByte));
}

}  // namespace cacheclip
