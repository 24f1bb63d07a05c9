#include "common/kv/chunk_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "common/base/status.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

TEST(ChunkBuilder, LayersAreAlignedAndDoNotOverlap) {
  const TestChunkOptions options{.num_tokens = 7, .shape = {3, 3, 5, KvDtype::kFp32}};
  ChunkBuilder builder = ChunkBuilder::Create(MakeTestHeader(options)).value();
  const std::byte* end_of_previous = nullptr;
  for (int32_t layer = 0; layer < 3; ++layer)
    for (const auto half : {builder.MutableKeys(layer), builder.MutableValues(layer)}) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(half.data()) % kChunkAlignment, 0);
      EXPECT_EQ(half.size(), 7 * 3 * 5 * 4);
      EXPECT_GE(half.data(), end_of_previous);
      end_of_previous = half.data() + half.size();
    }
}

TEST(ChunkBuilder, FinishedChunkHoldsWhatWasFilledIn) {
  const auto chunk = MakeTestChunk(5);
  EXPECT_EQ(chunk->header(), MakeTestHeader({.seed = 5}));
  for (int32_t layer = 0; layer < 2; ++layer)
    for (size_t i = 0; i < chunk->Keys(layer).size(); ++i) {
      ASSERT_EQ(chunk->Keys(layer)[i], TestPayloadByte(5, layer, 0, i));
      ASSERT_EQ(chunk->Values(layer)[i], TestPayloadByte(5, layer, 1, i));
    }
}

TEST(ChunkBuilder, Int8LayersHoldElementsAndScalesSideBySide) {
  const TestChunkOptions options{.seed = 6, .num_tokens = 7, .shape = {3, 3, 5, KvDtype::kInt8}};
  const auto chunk = MakeTestChunk(options);
  const std::byte* end_of_previous = nullptr;
  for (int32_t layer = 0; layer < 3; ++layer) {
    const auto key_scales = chunk->KeyScales(layer), value_scales = chunk->ValueScales(layer);
    ASSERT_EQ(key_scales.size(), 3 * 5);
    ASSERT_EQ(value_scales.size(), 7 * 3);
    for (size_t i = 0; i < key_scales.size(); ++i) EXPECT_EQ(key_scales[i], TestScale(6, layer, 0, i));
    for (size_t i = 0; i < value_scales.size(); ++i) EXPECT_EQ(value_scales[i], TestScale(6, layer, 1, i));
    for (const auto part :
         {chunk->Keys(layer), chunk->Values(layer), std::as_bytes(key_scales), std::as_bytes(value_scales)}) {
      EXPECT_EQ((part.data() - chunk->image().data()) % kChunkAlignment, 0);
      EXPECT_GE(part.data(), end_of_previous);
      end_of_previous = part.data() + part.size();
    }
  }
  EXPECT_LE(end_of_previous, chunk->image().data() + chunk->image().size());
}

TEST(ChunkBuilder, OtherDtypesHaveNoScales) {
  const auto chunk = MakeTestChunk(5);
  EXPECT_TRUE(chunk->KeyScales(1).empty());
  EXPECT_TRUE(chunk->ValueScales(1).empty());
}

TEST(ChunkBuilder, UnfilledPayloadIsZero) {
  const auto chunk = std::move(ChunkBuilder::Create(MakeTestHeader({})).value()).Finish();
  EXPECT_TRUE(std::ranges::all_of(chunk->Values(1), [](std::byte byte) { return byte == std::byte{0}; }));
  EXPECT_TRUE(chunk->VerifyPayload().ok());
}

TEST(ChunkBuilder, RefusesABadHeader) {
  ChunkHeader header = MakeTestHeader({});
  header.shape.head_dim = 0;
  EXPECT_EQ(FieldOf(ChunkBuilder::Create(header).status()), "shape.head_dim");
  header = MakeTestHeader({});
  header.chunk_ids.clear();
  EXPECT_EQ(FieldOf(ChunkBuilder::Create(header).status()), "chunk_ids");
}

TEST(CopyToHeap, IsEqualAndOutlivesTheOriginal) {
  auto original = MakeTestChunk(1);
  const auto image = CopyImage(*original);
  const auto copy = CopyToHeap(*original).value();
  EXPECT_NE(copy->image().data(), original->image().data());
  original.reset();
  EXPECT_TRUE(std::ranges::equal(copy->image(), image));
  EXPECT_TRUE(copy->VerifyPayload().ok());
}

}  // namespace
}  // namespace cacheclip
