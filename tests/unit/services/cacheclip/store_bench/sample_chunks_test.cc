#include "services/cacheclip/store_bench/sample_chunks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "common/kv/chunk_key.h"

namespace cacheclip {
namespace {

constexpr KvShape kShape = {2, 2, 8, KvDtype::kBf16};

TEST(SampleChunks, DifferInKeysBetweenEachOtherAndBetweenRuns) {
  std::set<ChunkKey> keys;
  for (const char* salt : {"a", "b"}) {
    const SampleChunks chunks = MakeSampleChunks(kShape, 5, 3, salt).value();
    for (const auto& chunk : chunks) {
      keys.insert(chunk->key());
      EXPECT_EQ(chunk->num_tokens(), 5);
      EXPECT_TRUE(chunk->VerifyPayload().ok());
    }
    EXPECT_EQ(TotalBytes(chunks), 3 * chunks[0]->total_bytes());
  }
  EXPECT_EQ(keys.size(), 6u);
}

TEST(SampleChunks, HoldNumbersOfTheSizeThatKeysHave) {
  const auto chunk = MakeSampleChunks(kShape, 5, 1, "salt").value()[0];
  const auto bytes = chunk->Keys(1);
  for (size_t at = 0; at < bytes.size(); at += 2) {
    uint16_t upper;
    std::memcpy(&upper, bytes.data() + at, sizeof upper);
    const uint32_t bits = uint32_t{upper} << 16;
    float number;
    std::memcpy(&number, &bits, sizeof number);
    EXPECT_GE(std::abs(number), 0.5f);
    EXPECT_LT(std::abs(number), 2.0f);
  }
}

}  // namespace
}  // namespace cacheclip
