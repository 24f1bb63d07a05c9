#include "common/rpc/conversion/ingestion_conversion.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(IngestionConversion, OptionsHaveDefaultsAndBounds) {
  v1::IngestOptions options;
  auto plain = FromProto(options);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->chunker.target_tokens, kDefaultTargetChunkTokens);
  EXPECT_EQ(plain->chunker.max_tokens, 2 * kDefaultTargetChunkTokens);
  EXPECT_TRUE(plain->title_in_chunks);
  options.set_target_chunk_tokens(kMaxTargetChunkTokens + 1);
  EXPECT_EQ(FieldOf(FromProto(options).status()), "options.target_chunk_tokens");
  options.set_target_chunk_tokens(100);
  options.set_max_chunk_tokens(99);
  EXPECT_EQ(FieldOf(FromProto(options).status()), "options.max_chunk_tokens");
}

TEST(IngestionConversion, DocumentsSurviveTheRoundTripWhateverTheirBytes) {
  SourceDocument document{.document_id = "id", .title = "title", .text = "not UTF-8: \xff"};
  document.format = DocumentFormat::kMarkdown;
  document.metadata_json = "{}";
  document.expire_time = absl::FromUnixSeconds(77);
  const SourceDocument back = FromProto(ToProto(document));
  EXPECT_EQ(back.text, document.text);
  EXPECT_EQ(back.title, "title");
  EXPECT_EQ(back.format, DocumentFormat::kMarkdown);
  EXPECT_EQ(back.expire_time, document.expire_time);
  v1::SourceDocument as_string;
  as_string.set_text("plain");
  EXPECT_EQ(FromProto(as_string).text, "plain");
  EXPECT_EQ(FromProto(as_string).expire_time, absl::InfiniteFuture());
}

TEST(IngestionConversion, ResultsCarryTheErrorWithItsField) {
  DocumentResult result;
  result.document_id = "id";
  result.status = InvalidField("text", "not valid UTF-8 at byte 3");
  EXPECT_EQ(FromProto(ToProto(result)).status, result.status);
  result.status = absl::OkStatus();
  result.num_chunks = 2;
  result.unchanged = true;
  result.chunks.resize(1);
  result.chunks[0].text = "chunk";
  const DocumentResult back = FromProto(ToProto(result));
  EXPECT_TRUE(back.status.ok());
  EXPECT_TRUE(back.unchanged);
  EXPECT_EQ(back.chunks[0].text, "chunk");
}

TEST(IngestionConversion, AbsentSeparatorIsTheDefaultAndAnEmptyOneIsNot) {
  v1::PrefixSpec spec;
  EXPECT_EQ(FromProto(spec).separator, PrefixSpec().separator);
  spec.set_separator("");
  EXPECT_EQ(FromProto(spec).separator, "");
  spec.set_placement(v1::PLACEMENT_SYSTEM);
  EXPECT_EQ(FromProto(spec).placement, PrefixSpec::Placement::kSystem);
  spec.set_placement(static_cast<v1::Placement>(99));  // unknown numbers read as the default
  EXPECT_EQ(FromProto(spec).placement, PrefixSpec::Placement::kUser);
}

TEST(IngestionConversion, PrefixesAndDocumentsSurviveTheRoundTrip) {
  Prefix prefix{.prefix_id = "ab", .system_prompt = "system", .placement = "system", .separator = "|"};
  prefix.is_default = true;
  const Prefix prefix_back = FromProto(ToProto(prefix));
  EXPECT_EQ(prefix_back.placement, "system");
  EXPECT_EQ(prefix_back.separator, "|");
  EXPECT_TRUE(prefix_back.is_default);
  Document document{.document_id = "id", .content_digest = "digest"};
  document.chunks = {{"c1", 0, 10}, {"c2", 10, 20}};
  document.updated_time = absl::FromUnixSeconds(5);
  const Document back = FromProto(ToProto(document));
  EXPECT_EQ(back.chunks, document.chunks);
  EXPECT_EQ(back.updated_time, document.updated_time);
  EXPECT_EQ(back.expire_time, absl::InfiniteFuture());
}

}  // namespace
}  // namespace cacheclip
