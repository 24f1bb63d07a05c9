#include "common/kv/encoded_chunk.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

// The chunk with one payload byte changed after its header was written.
std::shared_ptr<const EncodedChunk> Damaged(const EncodedChunk& chunk, int64_t offset) {
  auto image = std::make_shared<std::vector<std::byte>>(CopyImage(chunk));
  (*image)[offset] ^= std::byte{1};
  return ParseChunk(*image, image, PayloadCheck::kTrusted).value();
}

TEST(EncodedChunk, SlicesTileThePayloadWithinLayers) {
  // 700 tokens x 4 heads x 64 fp32: 1.37 MiB a layer, more than one slice.
  const auto chunk = MakeTestChunk({.num_tokens = 700, .shape = {2, 4, 64, KvDtype::kFp32}});
  int64_t expected_offset = static_cast<int64_t>(chunk->header_bytes().size());
  int32_t layer = 0;
  for (const ChunkSlice& slice : chunk->slices()) {
    EXPECT_EQ(slice.offset, expected_offset);
    EXPECT_LE(slice.num_bytes, kMaxSliceBytes);
    EXPECT_EQ(chunk->SliceBytes(slice).size(), slice.num_bytes);
    expected_offset += slice.num_bytes;
    EXPECT_GE(slice.layer, layer);
    layer = slice.layer;
  }
  EXPECT_EQ(expected_offset, chunk->total_bytes());
  EXPECT_EQ(chunk->slices().size(), 4);
  EXPECT_EQ(chunk->slices()[2].layer, 1) << "a layer begins with a slice of its own";
}

TEST(EncodedChunk, VerifyNamesTheDamagedLayer) {
  const auto chunk = MakeTestChunk(1);
  const auto damaged = Damaged(*chunk, chunk->Values(1).data() - chunk->image().data());
  EXPECT_TRUE(damaged->VerifyLayer(0).ok());
  EXPECT_TRUE(absl::IsDataLoss(damaged->VerifyLayer(1)));
  const absl::Status status = damaged->VerifyPayload();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_NE(status.message().find("layer 1"), absl::string_view::npos) << status;
}

TEST(EncodedChunk, PaddingBetweenKeysAndValuesIsCheckedToo) {
  const auto chunk = MakeTestChunk(1);
  ASSERT_GT(chunk->Values(0).data() - chunk->Keys(0).data(), static_cast<ptrdiff_t>(chunk->Keys(0).size()));
  const int64_t padding = chunk->Keys(0).data() + chunk->Keys(0).size() - chunk->image().data();
  EXPECT_TRUE(absl::IsDataLoss(Damaged(*chunk, padding)->VerifyPayload()));
}

// Its checksums hold: only a faulty writer stores such a thing.
TEST(EncodedChunk, ScalesThatAreNoneAreDataLoss) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kHuge = std::numeric_limits<float>::max();  // times an element it is infinite
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const TestChunkOptions options{.shape = {2, 2, 8, KvDtype::kInt8}};
  for (const float bad : {-1.0f, kHuge, kInfinity, -kInfinity, kNaN, -kNaN})
    for (const bool of_keys : {true, false}) {
      ChunkBuilder builder = ChunkBuilder::Create(MakeTestHeader(options)).value();
      (of_keys ? builder.MutableKeyScales(1) : builder.MutableValueScales(1)).back() = bad;
      const auto chunk = std::move(builder).Finish();
      EXPECT_TRUE(chunk->VerifyLayer(0).ok());
      EXPECT_TRUE(absl::IsDataLoss(chunk->VerifyLayer(1))) << bad;
      EXPECT_TRUE(absl::IsDataLoss(chunk->VerifyPayload())) << bad;
      EXPECT_TRUE(absl::IsDataLoss(ParseChunk(chunk->image(), chunk, PayloadCheck::kVerify).status())) << bad;
    }
}

TEST(EncodedChunk, KeepsItsImageAlive) {
  auto image = std::make_shared<std::vector<std::byte>>(CopyImage(*MakeTestChunk(1)));
  const std::weak_ptr<std::vector<std::byte>> watched = image;
  auto chunk = ParseChunk(*image, image, PayloadCheck::kVerify).value();
  image.reset();
  EXPECT_FALSE(watched.expired());
  EXPECT_TRUE(chunk->VerifyPayload().ok());
  chunk.reset();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace cacheclip
