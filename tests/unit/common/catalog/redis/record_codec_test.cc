#include "common/catalog/redis/record_codec.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/catalog_contract.h"

namespace cacheclip {
namespace {

constexpr char kRevision[] = "00000000000000ab";

std::string RecordOf(const Document& document) {
  return absl::StrCat(kRevision, EncodeTime(document.expire_time), EncodeTime(document.created_time),
                      EncodeTime(document.updated_time), EncodeCount(document.chunks.size()),
                      PackDocumentBody(document));
}

TEST(RecordCodec, TimesOrderLikeTheirDigits) {
  const std::vector<absl::Time> times = {absl::InfinitePast(),
                                         absl::UnixEpoch() - absl::Hours(1),
                                         absl::UnixEpoch(),
                                         absl::UnixEpoch() + absl::Microseconds(1),
                                         absl::FromUnixMicros(1'700'000'000'123'456),
                                         absl::InfiniteFuture()};
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(EncodeTime(times[i]).size(), kTimeDigits);
    EXPECT_EQ(DecodeTime(EncodeTime(times[i])).value(), times[i]);
  }
  for (size_t i = 1; i < times.size(); ++i) EXPECT_LT(EncodeTime(times[i - 1]), EncodeTime(times[i]));
  EXPECT_EQ(EncodeTime(absl::InfiniteFuture()), "ffffffffffffffff");  // the scripts' word for never
  EXPECT_GT(EncodeTime(NextMoment(times[2])), EncodeTime(times[2]));
}

TEST(RecordCodec, DocumentComesBack) {
  Document document = MakeTestDocument("docs", "d", {1, 2}).document;
  document.title = std::string("nul\0inside", 10);
  document.created_time = absl::UnixEpoch() + absl::Hours(1);
  document.updated_time = absl::UnixEpoch() + absl::Hours(2);
  const StoredDocument stored = UnpackDocument("docs", "d", RecordOf(document)).value();
  EXPECT_EQ(stored.revision, kRevision);
  EXPECT_EQ(stored.num_uses, 2u);
  EXPECT_EQ(stored.document.title, document.title);
  EXPECT_EQ(stored.document.metadata_json, document.metadata_json);
  EXPECT_EQ(stored.document.writer_version, "1.0");
  EXPECT_EQ(stored.document.created_time, document.created_time);
  EXPECT_EQ(stored.document.updated_time, document.updated_time);
  EXPECT_EQ(stored.document.expire_time, absl::InfiniteFuture());
}

TEST(RecordCodec, UsesComeBackInOrder) {
  const std::vector<ChunkReference> uses = MakeTestDocument("docs", "d", {7, 3, 7}).document.chunks;
  std::vector<ChunkReference> got;
  ASSERT_TRUE(UnpackUses(PackUses(std::span(uses).first(2)), got).ok());
  ASSERT_TRUE(UnpackUses(PackUses(std::span(uses).last(1)), got).ok());
  EXPECT_EQ(got, uses);
}

TEST(RecordCodec, ChunkAndPrefixComeBack) {
  const ChunkRecord chunk = MakeTestDocument("docs", "d", {5}).chunks[0];
  const ChunkRecord got = UnpackChunk("docs", chunk.chunk_id, PackChunk(chunk)).value();
  EXPECT_EQ(got.text, chunk.text);
  EXPECT_EQ(got.title, chunk.title);
  EXPECT_EQ(got.prefix_id, chunk.prefix_id);
  EXPECT_EQ(got.num_tokens, chunk.num_tokens);
  const Prefix prefix = TestPrefix("docs");
  const Prefix back = UnpackPrefix("docs", prefix.prefix_id, PackPrefix(prefix)).value();
  EXPECT_EQ(back.token_ids, prefix.token_ids);
  EXPECT_EQ(back.template_time, prefix.template_time);
  EXPECT_EQ(back.separator, prefix.separator);
}

TEST(RecordCodec, EveryCutIsDataLoss) {
  const TestDocument test = MakeTestDocument("docs", "d", {5});
  const std::string document = RecordOf(test.document), chunk = PackChunk(test.chunks[0]),
                    prefix = PackPrefix(TestPrefix("docs")), uses = PackUses(test.document.chunks);
  std::vector<ChunkReference> ignored;
  for (size_t size = 0; size < document.size(); ++size)
    EXPECT_TRUE(absl::IsDataLoss(UnpackDocument("docs", "d", document.substr(0, size)).status())) << size;
  for (size_t size = 0; size < chunk.size(); ++size)
    EXPECT_TRUE(absl::IsDataLoss(UnpackChunk("docs", "c", chunk.substr(0, size)).status())) << size;
  for (size_t size = 0; size < prefix.size(); ++size)
    EXPECT_TRUE(absl::IsDataLoss(UnpackPrefix("docs", "p", prefix.substr(0, size)).status())) << size;
  for (size_t size = 1; size < uses.size(); ++size)
    EXPECT_TRUE(absl::IsDataLoss(UnpackUses(uses.substr(0, size), ignored))) << size;
  EXPECT_TRUE(absl::IsDataLoss(UnpackChunk("docs", "c", chunk + "x").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeTime("123").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeTime("000000000000000g").status()));
}

}  // namespace
}  // namespace cacheclip
