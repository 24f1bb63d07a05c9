// Everything that the parser (common/kv/chunk_parser.cc) must refuse, and a sample of the fuzz target's
// inputs.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "common/base/hash.h"
#include "common/kv/chunk_format.h"
#include "tests/fuzz/chunk_parser_fuzz.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

using Bytes = std::vector<std::byte>;

absl::Status Parse(const Bytes& image) { return ParseChunk(image, nullptr, PayloadCheck::kVerify).status(); }

// Writes `value` at `offset` and makes the header's checksum hold again, so that the field itself is judged.
template <typename T>
Bytes WithField(Bytes image, size_t offset, T value) {
  uint32_t header_bytes;
  std::memcpy(&header_bytes, image.data() + 12, sizeof header_bytes);
  std::memcpy(image.data() + offset, &value, sizeof value);
  const uint64_t checksum = Checksum64(image.data(), header_bytes - 8);
  std::memcpy(image.data() + header_bytes - 8, &checksum, sizeof checksum);
  return image;
}

TEST(ParseChunk, ReturnsWhatWasWritten) {
  const auto chunk = MakeTestChunk(4);
  auto image = std::make_shared<Bytes>(CopyImage(*chunk));
  const auto parsed = ParseChunk(*image, image, PayloadCheck::kVerify);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ((*parsed)->header(), chunk->header());
  EXPECT_EQ((*parsed)->slices(), chunk->slices());
}

TEST(ParseChunk, AnyFlippedBitIsFound) {
  const Bytes good = CopyImage(*MakeTestChunk(1));
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes image = good;
    image[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    ASSERT_TRUE(absl::IsDataLoss(Parse(image))) << "bit " << bit;
  }
}

TEST(ParseChunk, AnyFlippedBitOfAnInt8ChunkIsFound) {
  const Bytes good = CopyImage(*MakeTestChunk({.num_tokens = 3, .shape = {1, 1, 5, KvDtype::kInt8}}));
  ASSERT_TRUE(Parse(good).ok());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes image = good;
    image[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    ASSERT_TRUE(absl::IsDataLoss(Parse(image))) << "bit " << bit;
  }
}

TEST(ParseChunk, AnyOtherLengthIsFound) {
  Bytes image = CopyImage(*MakeTestChunk(1));
  image.push_back(std::byte{0});
  EXPECT_TRUE(absl::IsDataLoss(Parse(image)));
  image.pop_back();
  ASSERT_TRUE(Parse(image).ok());
  while (!image.empty()) {
    image.pop_back();
    ASSERT_TRUE(absl::IsDataLoss(Parse(image))) << image.size() << " bytes";
  }
}

TEST(ParseChunk, FieldsOutOfBoundsAreRefusedThoughTheChecksumHolds) {
  const Bytes good = CopyImage(*MakeTestChunk(1));
  ASSERT_TRUE(Parse(WithField<uint32_t>(good, 8, 1)).ok());
  const auto refused = [&](size_t offset, auto value) {
    return absl::IsDataLoss(Parse(WithField(good, offset, value)));
  };
  EXPECT_TRUE(refused(8, uint32_t{2})) << "format version";
  EXPECT_TRUE(refused(16, uint64_t{1} << 60)) << "total bytes";
  EXPECT_TRUE(refused(128, int32_t{0})) << "layers";
  EXPECT_TRUE(refused(128, int32_t{-1})) << "layers";
  EXPECT_TRUE(refused(128, int32_t{3})) << "layers";
  EXPECT_TRUE(refused(132, int32_t{1 << 30})) << "kv heads";
  EXPECT_TRUE(refused(136, int32_t{64})) << "head dim";
  EXPECT_TRUE(refused(140, uint8_t{0})) << "dtype";
  EXPECT_TRUE(refused(140, uint8_t{3})) << "int8, whose payload has another size";
  EXPECT_TRUE(refused(140, uint8_t{4})) << "dtype";
  EXPECT_TRUE(refused(141, uint8_t{2})) << "layout";
  EXPECT_TRUE(refused(142, uint16_t{1})) << "reserved flags";
  EXPECT_TRUE(refused(144, uint32_t{0xffffffff})) << "prefix ids";
  EXPECT_TRUE(refused(148, uint32_t{0})) << "chunk ids";
  EXPECT_TRUE(refused(148, uint32_t{6})) << "chunk ids";
  EXPECT_TRUE(refused(152, uint32_t{4})) << "spans";
  EXPECT_TRUE(refused(156, uint32_t{0x7fffffff})) << "writer version";
  EXPECT_TRUE(refused(160, uint32_t{3})) << "slices";
  EXPECT_TRUE(refused(164, uint32_t{64})) << "slice bytes";
  EXPECT_TRUE(refused(170, uint8_t{1})) << "reserved";
  EXPECT_TRUE(refused(192, int32_t{-5})) << "negative id";
  EXPECT_TRUE(refused(192 + 32, uint32_t{9})) << "span that ends before it begins";
  EXPECT_TRUE(refused(192 + 32 + 40 + 14, uint8_t{1})) << "padding behind the writer version";
  EXPECT_TRUE(refused(192 + 32 + 40 + 16, uint64_t{0})) << "slice offset";
}

TEST(ParseChunkPreamble, NeedsTheHeaderOnly) {
  const auto chunk = MakeTestChunk(1);
  const auto header_bytes = chunk->header_bytes();
  const auto preamble = ParseChunkPreamble(header_bytes);
  ASSERT_TRUE(preamble.ok()) << preamble.status();
  EXPECT_EQ(preamble->total_bytes, chunk->total_bytes());
  EXPECT_EQ(preamble->slices, chunk->slices());
  EXPECT_TRUE(absl::IsDataLoss(ParseChunkPreamble(header_bytes.first(header_bytes.size() - 1)).status()));
}

TEST(ParseChunkHeaderBytes, TellsTheHeadersLengthFromItsFront) {
  const auto chunk = MakeTestChunk(1);
  const auto front = chunk->image().first(kChunkFixedHeaderBytes);
  EXPECT_EQ(ParseChunkHeaderBytes(front).value(), chunk->header_bytes().size());
  EXPECT_FALSE(ParseChunkHeaderBytes(front.first(100)).ok());
  Bytes image = CopyImage(*chunk);
  const uint32_t too_long = (4 << 20) + 64;
  std::memcpy(image.data() + 12, &too_long, sizeof too_long);
  EXPECT_TRUE(absl::IsDataLoss(ParseChunkHeaderBytes(image).status()));
}

// The fuzz target itself, over mutations of the golden files: it aborts when an image parses that should not.
TEST(ChunkParserFuzz, SurvivesMutatedGoldenFiles) {
  std::mt19937_64 random(20260101);
  int64_t num_inputs = 0;
  for (const char* name : {"chunk_bf16.bin", "chunk_fp32.bin", "prefix_bf16.bin", "chunk_int8.bin"}) {
    std::ifstream file(std::string(CACHECLIP_SOURCE_DIR "/tests/data/kv/") + name, std::ios::binary);
    const std::string golden(std::istreambuf_iterator<char>(file), {});
    ASSERT_FALSE(golden.empty()) << name;
    for (int round = 0; round < 5000; ++round) {
      std::string input = golden;
      for (uint64_t change = random() % 4; change-- > 0;) {
        const size_t at = random() % 3 == 0 ? 8 + random() % 184 : random() % input.size();
        input[at] = static_cast<char>(random() % 2 == 0 ? random() : uint64_t{1} << (random() % 8));
      }
      if (random() % 8 == 0) input.resize(random() % (input.size() + 100));
      num_inputs += 1 + LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
    }
  }
  EXPECT_EQ(num_inputs, 20000);
}

}  // namespace
}  // namespace cacheclip
