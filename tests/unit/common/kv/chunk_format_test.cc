#include "common/kv/chunk_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "common/base/hash.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

struct GoldenFile {
  const char* name;
  TestChunkOptions options;
};

// A chunk in the default dtype, one in fp32 whose sizes need padding, a prefix's own KV, and one with scales.
const GoldenFile kGoldenFiles[] = {
    {"chunk_bf16.bin", {.seed = 1, .num_tokens = 5, .shape = {2, 2, 8, KvDtype::kBf16}}},
    {"chunk_fp32.bin", {.seed = 2, .num_tokens = 3, .shape = {3, 1, 6, KvDtype::kFp32}}},
    {"prefix_bf16.bin", {.seed = 3, .num_tokens = 4, .shape = {1, 2, 8, KvDtype::kBf16}, .prefix_ids = {}}},
    {"chunk_int8.bin", {.seed = 4, .num_tokens = 5, .shape = {2, 2, 9, KvDtype::kInt8}}},
};

std::string GoldenPath(const GoldenFile& golden) {
  return std::string(CACHECLIP_SOURCE_DIR "/tests/data/kv/") + golden.name;
}

template <typename T>
T FieldAt(std::span<const std::byte> image, size_t offset) {
  T value;
  std::memcpy(&value, image.data() + offset, sizeof value);
  return value;
}

// With CACHECLIP_UPDATE_GOLDEN=1 the files are written instead: only together with a new format version, or
// for a dtype that no version could hold before.
TEST(ChunkFormat, WritesTheGoldenFilesByteByByte) {
  for (const GoldenFile& golden : kGoldenFiles) {
    const auto chunk = MakeTestChunk(golden.options);
    const std::string expected(reinterpret_cast<const char*>(chunk->image().data()), chunk->image().size());
    if (std::getenv("CACHECLIP_UPDATE_GOLDEN") != nullptr)
      std::ofstream(GoldenPath(golden), std::ios::binary) << expected;
    std::ifstream file(GoldenPath(golden), std::ios::binary);
    const std::string stored(std::istreambuf_iterator<char>(file), {});
    EXPECT_TRUE(stored == expected) << golden.name << ": the bytes of the format have changed";
  }
}

TEST(ChunkFormat, ReadsTheGoldenFiles) {
  for (const GoldenFile& golden : kGoldenFiles) {
    std::ifstream file(GoldenPath(golden), std::ios::binary);
    const std::string stored(std::istreambuf_iterator<char>(file), {});
    const auto image = std::as_bytes(std::span(stored));
    const auto chunk = ParseChunk(image, nullptr, PayloadCheck::kVerify);
    ASSERT_TRUE(chunk.ok()) << chunk.status();
    EXPECT_EQ((*chunk)->header(), MakeTestHeader(golden.options)) << golden.name;
    EXPECT_EQ((*chunk)->Values(0)[3], TestPayloadByte(golden.options.seed, 0, 1, 3)) << golden.name;
  }
}

// The offsets that docs/chunk-format.md states.
TEST(ChunkFormat, FieldsLieWhereThePageSays) {
  const auto chunk = MakeTestChunk(1);
  const auto image = chunk->image();
  EXPECT_EQ(std::memcmp(image.data(), "CCLIPKV\0", 8), 0);
  EXPECT_EQ(FieldAt<uint32_t>(image, 8), kChunkFormatVersion);
  EXPECT_EQ(FieldAt<uint32_t>(image, 12), chunk->header_bytes().size());
  EXPECT_EQ(FieldAt<uint64_t>(image, 16), image.size());
  EXPECT_EQ(std::memcmp(image.data() + 24, chunk->key().digest.data(), 32), 0);
  EXPECT_EQ(FieldAt<uint8_t>(image, 56), 0x11);
  EXPECT_EQ(FieldAt<uint8_t>(image, 88), 0x22);
  EXPECT_EQ(FieldAt<int64_t>(image, 120), 1700000000);
  EXPECT_EQ(FieldAt<int32_t>(image, 128), 2);   // layers
  EXPECT_EQ(FieldAt<int32_t>(image, 132), 2);   // kv heads
  EXPECT_EQ(FieldAt<int32_t>(image, 136), 8);   // head dim
  EXPECT_EQ(FieldAt<uint8_t>(image, 140), 1);   // dtype
  EXPECT_EQ(FieldAt<uint8_t>(image, 141), 1);   // layout
  EXPECT_EQ(FieldAt<uint32_t>(image, 144), 3);  // prefix ids
  EXPECT_EQ(FieldAt<uint32_t>(image, 148), 5);  // chunk ids
  EXPECT_EQ(FieldAt<uint32_t>(image, 152), 5);  // spans
  EXPECT_EQ(FieldAt<uint32_t>(image, 156), 14);
  EXPECT_EQ(FieldAt<uint32_t>(image, 160), 2);  // slices
  EXPECT_EQ(FieldAt<uint32_t>(image, 164), kMaxSliceBytes);
  EXPECT_EQ(FieldAt<int32_t>(image, 192), 11);           // first prefix id
  EXPECT_EQ(FieldAt<int32_t>(image, 192 + 12), 1000);    // first chunk id
  EXPECT_EQ(FieldAt<uint32_t>(image, 192 + 32 + 4), 3);  // end of the first span
  const size_t checksum_offset = chunk->header_bytes().size() - 8;
  EXPECT_EQ(FieldAt<uint64_t>(image, checksum_offset), Checksum64(image.data(), checksum_offset));
}

TEST(ChunkFormat, PayloadIsAlignedAndItsSizeFollowsFromTheShape) {
  for (int64_t num_tokens : {1, 2, 31, 32, 33, 512}) {
    const TestChunkOptions options{.num_tokens = num_tokens, .shape = {3, 3, 10, KvDtype::kBf16}};
    const auto plan = PlanChunk(MakeTestHeader(options)).value();
    const int64_t stride = LayerStride(options.shape, num_tokens);
    EXPECT_EQ(plan.payload_offset % kChunkAlignment, 0);
    EXPECT_EQ(stride % kChunkAlignment, 0);
    EXPECT_EQ(LayerValuesOffset(options.shape, num_tokens) % kChunkAlignment, 0);
    EXPECT_GE(LayerValuesOffset(options.shape, num_tokens), options.shape.KeysBytes(num_tokens));
    EXPECT_EQ(plan.total_bytes, plan.payload_offset + 3 * stride);
  }
}

// Where docs/chunk-format.md says that the parts of a layer lie.
TEST(ChunkFormat, ScalesLieBehindKeysAndValues) {
  const KvShape shape{2, 3, 40, KvDtype::kInt8};
  EXPECT_EQ(LayerValuesOffset(shape, 7), 896);        // 840 bytes of keys
  EXPECT_EQ(LayerKeyScalesOffset(shape, 7), 1792);    // … and of values
  EXPECT_EQ(LayerValueScalesOffset(shape, 7), 2304);  // 480 bytes
  EXPECT_EQ(LayerStride(shape, 7), 2432);             // 84 bytes
  const KvShape without{2, 3, 40, KvDtype::kBf16};
  EXPECT_EQ(LayerStride(without, 7), 2 * LayerValuesOffset(without, 7));
}

TEST(ChunkFormat, HeaderLimitHoldsForTheLargestHeader) {
  TestChunkOptions options{.num_tokens = kMaxChunkTokens, .shape = {512, 1, 64, KvDtype::kBf16}};
  options.prefix_ids.assign(kMaxChunkTokens, 1);
  const auto plan = PlanChunk(MakeTestHeader(options));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_LE(plan->payload_offset, kMaxChunkHeaderBytes);
}

}  // namespace
}  // namespace cacheclip
