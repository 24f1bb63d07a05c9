#include "common/catalog/sqlite_catalog.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/catalog/sqlite_database.h"
#include "common/catalog/sqlite_schema.h"
#include "tests/support/catalog_contract.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

std::unique_ptr<Catalog> MakeSqlite(const Clock* clock) {
  static auto* const folders = new std::vector<std::unique_ptr<TempFolder>>;
  if (folders->empty()) std::atexit([] { folders->clear(); });
  folders->push_back(std::make_unique<TempFolder>());
  return SqliteCatalog::Open({.path = folders->back()->path() + "/catalog.sqlite", .clock = clock}).value();
}

INSTANTIATE_TEST_SUITE_P(Sqlite, CatalogContract, testing::Values(CatalogFactory(MakeSqlite)));

class SqliteCatalogTest : public testing::Test {
 protected:
  std::unique_ptr<SqliteCatalog> OpenWriter() {
    return SqliteCatalog::Open({.path = path_, .clock = &clock_}).value();
  }
  std::unique_ptr<SqliteCatalog> OpenReader() {
    return SqliteCatalog::OpenReadOnly({.path = path_, .clock = &clock_});
  }
  void Fill(Catalog& catalog, const std::string& document_id, const std::vector<int>& chunk_numbers) {
    ASSERT_TRUE(catalog.PutNamespace("docs").ok());
    ASSERT_TRUE(catalog.PutPrefix(TestPrefix("docs")).ok());
    const TestDocument test = MakeTestDocument("docs", document_id, chunk_numbers);
    ASSERT_TRUE(catalog.PutDocument(test.document, test.chunks).ok());
  }
  bool Resolves(Catalog& catalog, int chunk_number) {
    return catalog.ResolveChunks("docs", std::vector{TestChunkId(chunk_number)}).value()[0].has_value();
  }

  TempFolder folder_;
  const std::string path_ = folder_.path() + "/catalog.sqlite";
  FakeClock clock_;
};

TEST_F(SqliteCatalogTest, IsFoundAgainAfterARestart) {
  Fill(*OpenWriter(), "d", {1, 2});
  const auto catalog = OpenWriter();
  EXPECT_EQ(catalog->GetDocument("docs", "d").value().chunks.size(), 2u);
  EXPECT_EQ(catalog->GetPrefix("docs", "").value().token_ids, TestPrefix("docs").token_ids);
  EXPECT_TRUE(Resolves(*catalog, 2));
}

TEST_F(SqliteCatalogTest, ReaderBeforeTheFirstWriterSaysWhatToDoAndRecovers) {
  const auto reader = OpenReader();
  const absl::Status status = reader->GetNamespace("docs").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("start the ingestion service"));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(path_));
  Fill(*OpenWriter(), "d", {1});
  EXPECT_TRUE(Resolves(*reader, 1));
}

TEST_F(SqliteCatalogTest, EmptyFileIsUnavailableToAReader) {
  std::ofstream(path_).close();  // what a writer has made before its first transaction
  EXPECT_EQ(OpenReader()->ListNamespaces().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SqliteCatalogTest, ReaderSeesEachCommitAtItsNextLookup) {
  const auto writer = OpenWriter();
  Fill(*writer, "d", {1});
  const auto reader = OpenReader();
  EXPECT_TRUE(Resolves(*reader, 1));
  ASSERT_TRUE(writer->DeleteDocument("docs", "d").ok());
  EXPECT_FALSE(Resolves(*reader, 1));
  Fill(*writer, "d", {1});
  EXPECT_TRUE(Resolves(*reader, 1));
}

TEST_F(SqliteCatalogTest, ReaderRefusesEveryWrite) {
  Fill(*OpenWriter(), "d", {1});
  const auto reader = OpenReader();
  const TestDocument test = MakeTestDocument("docs", "e", {2});
  const std::vector<std::string> ids = {TestChunkId(1)};
  for (const absl::Status& status :
       {reader->PutNamespace("new").status(), reader->PutPrefix(TestPrefix("docs")),
        reader->PutDocument(test.document, test.chunks).status(),
        reader->DeleteDocument("docs", "d").status(),
        reader->PinChunks("docs", ids, "me", clock_.Now() + absl::Hours(1)),
        reader->UnpinChunks("docs", ids, "me").status(), reader->SweepExpired().status(),
        reader->TrimDocuments({.writer_version = "1.0"}).status()})
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_TRUE(Resolves(*reader, 1));
}

TEST_F(SqliteCatalogTest, ReaderFollowsACatalogueThatWasMadeAnew) {
  Fill(*OpenWriter(), "d", {1});
  const auto reader = OpenReader();
  EXPECT_TRUE(Resolves(*reader, 1));
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    std::filesystem::remove(entry.path());
  EXPECT_EQ(reader->GetNamespace("docs").status().code(), absl::StatusCode::kUnavailable);
  Fill(*OpenWriter(), "d", {2});
  EXPECT_FALSE(Resolves(*reader, 1));
  EXPECT_TRUE(Resolves(*reader, 2));
}

TEST_F(SqliteCatalogTest, AnotherSchemaVersionIsRefusedByName) {
  Fill(*OpenWriter(), "d", {1});
  ASSERT_TRUE(SqliteDatabase::Open({.path = path_}).value()->Execute("PRAGMA user_version = 99").ok());
  const absl::Status status = SqliteCatalog::Open({.path = path_}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("schema version 99"));
  EXPECT_EQ(OpenReader()->ListNamespaces().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SqliteCatalogTest, FileThatIsNoDatabaseIsDataLoss) {
  std::ofstream(path_) << std::string(4096, 'x');
  EXPECT_EQ(SqliteCatalog::Open({.path = path_}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(OpenReader()->ListNamespaces().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SqliteCatalogTest, MissingFolderIsUnavailable) {
  EXPECT_EQ(SqliteCatalog::Open({.path = folder_.path() + "/none/c.sqlite"}).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(SqliteCatalogTest, BusyFileIsUnavailableForWritesAndOpenForReads) {
  Fill(*OpenWriter(), "d", {1});
  const auto impatient =
      SqliteCatalog::Open({.path = path_, .busy_timeout = absl::ZeroDuration(), .clock = &clock_}).value();
  const auto other = SqliteDatabase::Open({.path = path_}).value();
  SqliteTransaction transaction(*other);
  ASSERT_TRUE(transaction.BeginWrite().ok());
  EXPECT_EQ(impatient->DeleteDocument("docs", "d").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Resolves(*impatient, 1));
}

TEST_F(SqliteCatalogTest, FailedCallChangesNothing) {
  const auto catalog = OpenWriter();
  Fill(*catalog, "d", {1});
  // A foreign trigger makes the third reference fail in the middle of the transaction.
  ASSERT_TRUE(SqliteDatabase::Open({.path = path_})
                  .value()
                  ->Execute("CREATE TRIGGER fail BEFORE INSERT ON document_chunks WHEN NEW.ordinal = 2"
                            " BEGIN SELECT RAISE(ABORT, 'injected'); END")
                  .ok());
  const TestDocument test = MakeTestDocument("docs", "d", {5, 6, 7});
  EXPECT_EQ(catalog->PutDocument(test.document, test.chunks).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(catalog->GetDocument("docs", "d").value().chunks.size(), 1u);
  EXPECT_TRUE(Resolves(*catalog, 1));
  EXPECT_FALSE(Resolves(*catalog, 5));
}

}  // namespace
}  // namespace cacheclip
