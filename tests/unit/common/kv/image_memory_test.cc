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

TEST(ImageMemory, AnImageToFillMayTakeTheMemoryOfOneThatHasGone) {
  constexpr int64_t kBytes = int64_t{5} << 20;
  const std::byte* const first = AllocateImageToFill(kBytes)->data.get();
  const auto again = AllocateImageToFill(kBytes - 100'000);
  EXPECT_EQ(again->data.get(), first);
  EXPECT_EQ(again->span().size(), kBytes - 100'000);
  const auto other = AllocateImageToFill(kBytes);
  EXPECT_NE(other->data.get(), first) << "while it is in use";
}

TEST(ImageMemory, AnImageOfZerosNeverDoes) {
  constexpr int64_t kBytes = int64_t{6} << 20;
  std::ranges::fill(AllocateImage(kBytes)->span(), std::byte{1});
  const auto image = AllocateImage(kBytes);
  EXPECT_TRUE(std::ranges::all_of(image->span(), [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST(ImageMemory, MuchSmallerImagesDoNotSitInLargeOnes) {
  constexpr int64_t kBytes = int64_t{16} << 20;
  const std::byte* const large = AllocateImageToFill(kBytes)->data.get();
  EXPECT_NE(AllocateImageToFill(kBytes / 2)->data.get(), large);
}

TEST(ImageMemory, TooMuchIsAnError) {
  EXPECT_TRUE(absl::IsResourceExhausted(AllocateImage(int64_t{1} << 60).status()));
}

}  // namespace
}  // namespace cacheclip
