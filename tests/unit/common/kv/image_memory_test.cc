#include "common/kv/image_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "common/kv/chunk_format.h"

namespace cacheclip {
namespace {

TEST(ImageMemory, IsAlignedZeroedAndWritableToItsEnd) {
  for (const int64_t num_bytes :
       {int64_t{1}, int64_t{100'000}, (int64_t{2} << 20) - 1, int64_t{2} << 20, int64_t{7'654'321}}) {
    const auto image = AllocateImage(num_bytes);
    ASSERT_TRUE(image.ok()) << image.status();
    const auto bytes = image->span();
    ASSERT_EQ(bytes.size(), num_bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % kChunkAlignment, 0);
    EXPECT_TRUE(std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; }));
    std::ranges::fill(bytes, std::byte{1});
  }
}

TEST(ImageMemory, TooMuchIsAnError) {
  EXPECT_TRUE(absl::IsResourceExhausted(AllocateImage(int64_t{1} << 60).status()));
}

}  // namespace
}  // namespace cacheclip
