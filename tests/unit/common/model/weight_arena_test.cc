#include "common/model/weight_arena.h"

#include <cstdint>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

uintptr_t Address(const at::Tensor& tensor) { return reinterpret_cast<uintptr_t>(tensor.const_data_ptr()); }

TEST(WeightArena, TensorsLieApartAndAligned) {
  WeightArena arena;
  std::vector<at::Tensor> tensors;
  for (const int64_t bytes : {1, 63, 64, 65, 1000000, 40000000, 5}) {
    tensors.push_back(arena.Take(bytes).fill_(static_cast<int64_t>(tensors.size())));
    EXPECT_EQ(tensors.back().numel(), bytes);
    EXPECT_EQ(Address(tensors.back()) % 64, 0u);
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(tensors[i].min().item<uint8_t>(), i);
    EXPECT_EQ(tensors[i].max().item<uint8_t>(), i);
  }
}

TEST(WeightArena, SmallOnesShareABlock) {
  WeightArena arena;
  const at::Tensor first = arena.Take(100), second = arena.Take(100);
  EXPECT_EQ(Address(second) - Address(first), 128u);
}

TEST(WeightArena, TensorsOutliveTheArena) {
  std::optional<WeightArena> arena(std::in_place);
  at::Tensor kept = arena->Take(1 << 20).fill_(7);
  arena.reset();
  EXPECT_EQ(kept.sum().item<int64_t>(), int64_t{7} << 20);
}

TEST(WeightArena, NothingIsATensorToo) { EXPECT_EQ(WeightArena().Take(0).numel(), 0); }

}  // namespace
}  // namespace cacheclip
