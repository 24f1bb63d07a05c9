#include "common/catalog/redis/document_reads.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/catalog/redis/document_removal.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class DocumentReadsTest : public RedisCatalogTest {
 protected:
  void PutUntil(const std::string& document_id, absl::Duration lifetime) {
    TestDocument test = MakeTestDocument("docs", document_id, {1});
    test.document.expire_time = clock_.Now() + lifetime;
    Put(test);
  }
  std::vector<std::string> IdsOf(const std::vector<Document>& documents) {
    std::vector<std::string> ids;
    for (const Document& document : documents) ids.push_back(document.document_id);
    return ids;
  }
};

TEST_F(DocumentReadsTest, RecordsAnswerInRequestOrderWithExpiredOnes) {
  PutUntil("short", absl::Minutes(1));
  Put("long", {1, 2});
  clock_.Advance(absl::Hours(1));
  const std::vector<std::string> ids = {"long", "none", "short"};
  const auto records = ReadRecords(*server_, "docs", ids).value();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0]->num_uses, 2u);
  EXPECT_FALSE(records[1].has_value());
  EXPECT_EQ(records[2]->document.document_id, "short");
  EXPECT_FALSE(FindDocument(*server_, "docs", "short").value().has_value());
}

TEST_F(DocumentReadsTest, PagesAreFullThoughMostHaveExpired) {
  for (int i = 0; i < 40; ++i) PutUntil(absl::StrCat(absl::Dec(i, absl::kZeroPad2)), absl::Minutes(1));
  for (const char* id : {"17x", "38x", "9"}) Put(id, {1});
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(IdsOf(ScanDocuments(*server_, "docs", "", 2).value()), ElementsAre("17x", "38x"));
  EXPECT_THAT(IdsOf(ScanDocuments(*server_, "docs", "38x", 2).value()), ElementsAre("9"));
  EXPECT_THAT(IdsOf(ScanDocuments(*server_, "docs", "9", 2).value()), IsEmpty());
}

TEST_F(DocumentReadsTest, IdsOrderByBytes) {
  for (const char* id : {"b", "B", "ü", "a/1", "a", "a 1"}) Put(id, {});
  EXPECT_THAT(ReadDocumentIds(*server_, "docs", "", 10).value(),
              ElementsAre("B", "a", "a 1", "a/1", "b", "ü"));
}

TEST_F(DocumentReadsTest, DocumentWhoseListWasCutShortIsReadAgain) {
  Put("d", {1, 2});
  const std::vector<std::string> ids = {"d"};
  const std::string revision = ReadRecords(*server_, "docs", ids).value()[0]->revision;
  const NamespaceKeys keys(root_, "docs");
  const std::string batch = Ask({"RPOP", keys.uses(revision)}).text;  // as a cleaning writer would
  EXPECT_TRUE(absl::IsUnavailable(FindDocument(*server_, "docs", "d").status()));
  EXPECT_TRUE(absl::IsUnavailable(ScanDocuments(*server_, "docs", "", 1).status()));
  Ask({"RPUSH", keys.uses(revision), batch});
  EXPECT_EQ(FindDocument(*server_, "docs", "d").value()->chunks.size(), 2u);
}

TEST_F(DocumentReadsTest, ChunkLivesAsLongAsTheLastOfItsDocuments) {
  for (int minutes = 1; minutes <= 20; ++minutes)
    PutUntil(absl::StrCat("d", minutes), absl::Minutes(minutes));
  const std::vector<std::string> ids = {TestChunkId(1)};
  for (int minutes = 1; minutes <= 20; ++minutes) {
    EXPECT_TRUE(FindChunks(*server_, "docs", ids).value()[0].has_value()) << minutes;
    clock_.Advance(absl::Minutes(1));
  }
  EXPECT_FALSE(FindChunks(*server_, "docs", ids).value()[0].has_value());
}

TEST_F(DocumentReadsTest, DroppedDocumentsDoNotHideALivingOne) {
  for (int i = 0; i < 20; ++i) {  // more than one look at the references
    PutUntil(absl::StrCat("d", i), absl::Hours(2));
    ASSERT_TRUE(DropDocument(*server_, "docs", absl::StrCat("d", i), kIfLiving).value().has_value());
  }
  const std::vector<std::string> ids = {TestChunkId(1)};
  EXPECT_FALSE(FindChunks(*server_, "docs", ids).value()[0].has_value());
  PutUntil("living", absl::Hours(1));
  EXPECT_TRUE(FindChunks(*server_, "docs", ids).value()[0].has_value());
}

TEST_F(DocumentReadsTest, RecordsOfTooManyBytesAreRefused) {
  TestDocument test = MakeTestDocument("docs", "d", {1});
  test.chunks[0].text = std::string(kMaxChunkTextBytes, 'x');
  Put(test);
  const std::vector<std::string> ids(65, TestChunkId(1));
  EXPECT_TRUE(absl::IsResourceExhausted(FindChunks(*server_, "docs", ids).status()));
  EXPECT_EQ(FindChunks(*server_, "docs", std::span(ids).first(60)).value().size(), 60u);
}

}  // namespace
}  // namespace cacheclip
