#include "common/select/context_map.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(ContextMap, LaysChunksOneAfterAnother) {
  const ContextMap map{{3, 0, 4}};
  EXPECT_EQ(map.num_tokens(), 7);
  EXPECT_EQ(map.Chunks(), (std::vector<IndexRange>{{0, 3}, {3, 3}, {3, 7}}));
}

TEST(ContextMap, FindsTheChunkOfAnIndex) {
  const ContextMap map{{3, 0, 4}};
  EXPECT_EQ(map.ChunkOf(0), 0);
  EXPECT_EQ(map.ChunkOf(2), 0);
  EXPECT_EQ(map.ChunkOf(3), 2);  // the empty chunk holds nothing
  EXPECT_EQ(map.ChunkOf(6), 2);
}

TEST(ContextMap, EmptyContextIsValid) {
  const ContextMap map;
  EXPECT_TRUE(map.Validate().ok());
  EXPECT_EQ(map.num_tokens(), 0);
}

TEST(ContextMap, StaleTokensBeginBehindAFirstChunkThatIsExact) {
  const ContextMap map{{3, 4}};
  EXPECT_EQ(map.FirstStale(/*first_chunk_is_stale=*/false), 3);
  EXPECT_EQ(map.FirstStale(/*first_chunk_is_stale=*/true), 0);
  EXPECT_EQ(ContextMap().FirstStale(false), 0);
}

TEST(ContextMap, NegativeLengthIsRefusedByField) {
  const absl::Status status = ContextMap{{4, -1}}.Validate();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(status), "chunks");
}

TEST(ContextMap, TooManyTokensAreRefused) {
  const int32_t half = ContextMap::kMaxContextTokens / 2;
  EXPECT_TRUE((ContextMap{{half, half}}.Validate().ok()));
  EXPECT_EQ((ContextMap{{half, half, 1}}.Validate().code()), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace cacheclip
