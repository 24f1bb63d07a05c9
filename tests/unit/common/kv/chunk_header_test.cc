#include "common/kv/chunk_header.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

TEST(ValidateChunkHeader, NamesTheFieldThatIsWrong) {
  const ChunkHeader good = MakeTestHeader({});
  ASSERT_TRUE(ValidateChunkHeader(good).ok());
  const auto field_after = [&](const std::function<void(ChunkHeader&)>& change) {
    ChunkHeader header = good;
    change(header);
    return FieldOf(ValidateChunkHeader(header));
  };
  EXPECT_EQ(field_after([](ChunkHeader& header) { header.chunk_ids.clear(); }), "chunk_ids");
  EXPECT_EQ(field_after([](ChunkHeader& header) { header.chunk_ids[0] = -1; }), "chunk_ids");
  EXPECT_EQ(field_after([](ChunkHeader& header) { header.prefix_ids[0] = -1; }), "prefix_ids");
  EXPECT_EQ(field_after([](ChunkHeader& header) { header.prefix_ids.resize(kMaxChunkTokens + 1); }),
            "prefix_ids");
  EXPECT_EQ(field_after([](ChunkHeader& header) { header.token_spans.pop_back(); }), "token_spans");
  EXPECT_EQ(field_after([](ChunkHeader& header) { header.token_spans[0] = {5, 4}; }), "token_spans");
  EXPECT_EQ(field_after([](ChunkHeader& header) { header.writer_version.assign(129, 'x'); }),
            "writer_version");
  EXPECT_EQ(field_after([](ChunkHeader& header) { header.layout = static_cast<KvLayout>(0); }), "layout");
  EXPECT_EQ(field_after([](ChunkHeader& header) { header.shape.dtype = KvDtype{0}; }), "shape.dtype");
  EXPECT_EQ(field_after([](ChunkHeader& header) {
              header.shape = {512, 512, 1024, KvDtype::kFp32};
            }),
            "")
      << "five tokens of the largest shape still fit";
  EXPECT_EQ(field_after([](ChunkHeader& header) {
              header.shape = {512, 512, 1024, KvDtype::kFp32};
              header.token_spans.clear();
              header.chunk_ids.resize(10000);
            }),
            "chunk_ids")
      << "payload beyond kMaxChunkPayloadBytes";
}

TEST(ValidateChunkHeader, SpansMayBeLeftOut) {
  ChunkHeader header = MakeTestHeader({});
  header.token_spans.clear();
  EXPECT_TRUE(ValidateChunkHeader(header).ok());
}

TEST(CheckIdentity, ComparesKeyAndBothTokenRuns) {
  const ChunkHeader header = MakeTestHeader({});
  EXPECT_TRUE(CheckIdentity(header, header.key, header.prefix_ids, header.chunk_ids).ok());
  auto other_ids = header.chunk_ids;
  other_ids.back() += 1;
  EXPECT_TRUE(absl::IsDataLoss(CheckIdentity(header, header.key, header.prefix_ids, other_ids)));
  other_ids.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(CheckIdentity(header, header.key, header.prefix_ids, other_ids)));
  EXPECT_TRUE(absl::IsDataLoss(CheckIdentity(header, header.key, {}, header.chunk_ids)));
  EXPECT_TRUE(absl::IsDataLoss(CheckIdentity(header, ChunkKey{}, header.prefix_ids, header.chunk_ids)));
}

TEST(MakeChunkHeader, CarriesTheIdentity) {
  const ChunkHeader header = MakeTestHeader({.seed = 2, .num_tokens = 3});
  EXPECT_EQ(header.chunk_ids, (std::vector<int32_t>{2000, 2001, 2002}));
  EXPECT_EQ(header.prefix_ids, (std::vector<int32_t>{11, 12, 13}));
  EXPECT_EQ(header.model_fingerprint[0], 0x11);
  EXPECT_EQ(header.num_tokens(), 3);
}

}  // namespace
}  // namespace cacheclip
