#include "common/catalog/sqlite_documents.h"

#include <memory>
#include <string>
#include <vector>

#include "common/catalog/sqlite_namespaces.h"
#include "common/catalog/sqlite_schema.h"
#include "tests/support/catalog_contract.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SqliteDocumentsTest : public testing::Test {
 protected:
  SqliteDocumentsTest() {
    EXPECT_TRUE(CreateOrCheckCatalogSchema(*database_).ok());
    EXPECT_TRUE(InsertNamespace(*database_, "docs", 0).ok());
    EXPECT_TRUE(ReplacePrefix(*database_, TestPrefix("docs")).ok());
  }
  std::vector<std::string> Replace(const TestDocument& test, int64_t now_micros) {
    return ReplaceDocument(*database_, test.document, test.chunks, now_micros).value();
  }
  int64_t CountRows(const std::string& table) {
    SqliteStatement row = database_->Query("SELECT count(*) FROM " + table).value();
    EXPECT_TRUE(row.Step().value());
    return row.Int(0);
  }

  TempFolder folder_;
  std::unique_ptr<SqliteDatabase> database_ =
      SqliteDatabase::Open({.path = folder_.path() + "/c.sqlite"}).value();
};

TEST(Micros, InfinitiesSurviveStorage) {
  for (const absl::Time time : {absl::InfiniteFuture(), absl::InfinitePast(), absl::UnixEpoch(),
                                absl::FromUnixMicros(1'700'000'000'123'456)})
    EXPECT_EQ(FromMicros(ToMicros(time)), time);
}

TEST_F(SqliteDocumentsTest, NoRowOutlivesTheLastDocument) {
  Replace(MakeTestDocument("docs", "a", {1, 2, 1}), 10);
  Replace(MakeTestDocument("docs", "b", {2, 3}), 10);
  EXPECT_EQ(CountRows("document_chunks"), 5);
  EXPECT_EQ(CountRows("chunks"), 3);
  const std::vector<DocumentKey> keys = {{"docs", "a"}, {"docs", "b"}};
  const Removal removal = RemoveDocuments(*database_, keys).value();
  EXPECT_EQ(removal.num_documents, 2);
  EXPECT_THAT(removal.released_chunk_ids, ElementsAre(TestChunkId(1), TestChunkId(2), TestChunkId(3)));
  for (const char* table : {"documents", "document_chunks", "chunks"})
    EXPECT_EQ(CountRows(table), 0) << table;
}

TEST_F(SqliteDocumentsTest, ExpiryIsTheFirstMomentOfAbsence) {
  TestDocument test = MakeTestDocument("docs", "a", {1});
  test.document.expire_time = FromMicros(100);
  Replace(test, 10);
  EXPECT_TRUE(FindDocument(*database_, "docs", "a", 99).value().has_value());
  EXPECT_TRUE(FindChunk(*database_, "docs", TestChunkId(1), 99).value().has_value());
  EXPECT_FALSE(FindDocument(*database_, "docs", "a", 100).value().has_value());
  EXPECT_FALSE(FindChunk(*database_, "docs", TestChunkId(1), 100).value().has_value());
  EXPECT_THAT(ScanDocuments(*database_, "docs", "", 10, 100).value(), IsEmpty());
}

TEST_F(SqliteDocumentsTest, KeysAreReadFromTheFirstTwoColumns) {
  Replace(MakeTestDocument("docs", "a", {}), 10);
  const auto keys =
      ReadDocumentKeys(database_->Query("SELECT namespace, document_id FROM documents").value()).value();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].namespace_name, "docs");
  EXPECT_EQ(keys[0].document_id, "a");
}

}  // namespace
}  // namespace cacheclip
