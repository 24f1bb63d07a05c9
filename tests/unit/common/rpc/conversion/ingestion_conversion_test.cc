#include "common/rpc/conversion/ingestion_conversion.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(IngestionConversion, OptionsSurviveTheRoundTrip) {
  IngestOptions options{.namespace_name = "team", .prefix_id = "ab12", .title_in_chunks = false};
  options.chunker.target_tokens = 128;
  options.chunker.max_tokens = 300;
  const IngestOptions back = *FromProto(ToProto(options));
  EXPECT_EQ(back.namespace_name, "team");
  EXPECT_EQ(back.prefix_id, "ab12");
  EXPECT_FALSE(back.title_in_chunks);
  EXPECT_EQ(back.chunker.target_tokens, 128);
  EXPECT_EQ(back.chunker.max_tokens, 300);
}

TEST(IngestionConversion, ChunkSizesOutOfBoundsNameTheirField) {
  v1::IngestOptions options;
  options.set_target_chunk_tokens(kMaxTargetChunkTokens + 1);
  EXPECT_EQ(FieldOf(FromProto(options).status()), "options.target_chunk_tokens");
  options.set_target_chunk_tokens(256);
  options.set_max_chunk_tokens(kMaxChunkTokenCap + 1);
  EXPECT_EQ(FieldOf(FromProto(options).status()), "options.max_chunk_tokens");
}

TEST(IngestionConversion, DocumentsSurviveTheRoundTrip) {
  const SourceDocument document{.document_id = "notes/1",
                                .title = "Notes",
                                .text = "Body.",
                                .format = DocumentFormat::kMarkdown,
                                .metadata_json = R"({"a": 1})",
                                .expire_time = absl::FromUnixSeconds(1234567)};
  const SourceDocument back = FromProto(ToProto(document));
  EXPECT_EQ(back.document_id, document.document_id);
  EXPECT_EQ(back.title, document.title);
  EXPECT_EQ(back.text, document.text);
  EXPECT_EQ(back.format, document.format);
  EXPECT_EQ(back.metadata_json, document.metadata_json);
  EXPECT_EQ(back.expire_time, document.expire_time);
}

TEST(IngestionConversion, ResultsKeepTheirErrorAndItsField) {
  DocumentResult result{.document_id = "bad", .status = InvalidField("text", "is not UTF-8"), .num_chunks = 3};
  const DocumentResult back = FromProto(ToProto(result));
  EXPECT_EQ(back.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(back.status), "text");
  EXPECT_EQ(back.num_chunks, 3);
}

TEST(IngestionConversion, NoExpiryIsZeroSeconds) {
  EXPECT_EQ(ToExpirySeconds(absl::InfiniteFuture()), 0);
  EXPECT_EQ(FromExpirySeconds(0), absl::InfiniteFuture());
  EXPECT_EQ(FromExpirySeconds(ToExpirySeconds(absl::FromUnixSeconds(99))), absl::FromUnixSeconds(99));
}

}  // namespace
}  // namespace cacheclip
