#include "common/catalog/sqlite_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/catalog/sqlite_catalog.h"
#include "tests/support/catalog_contract.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A catalogue with two documents, and a second way into its file.
class SqliteCheck : public testing::Test {
 protected:
  SqliteCheck() {
    catalog_ = SqliteCatalog::Open({.path = path_}).value();
    for (const char* name : {"docs", "other"}) {
      EXPECT_TRUE(catalog_->PutNamespace(name).ok());
      EXPECT_TRUE(catalog_->PutPrefix(TestPrefix(name)).ok());
      const TestDocument test = MakeTestDocument(name, "a", {1, 2});
      EXPECT_TRUE(catalog_->PutDocument(test.document, test.chunks).ok());
    }
  }
  void Tamper(const std::string& sql) {
    const auto database = SqliteDatabase::Open({.path = path_}).value();
    ASSERT_TRUE(database->Execute("PRAGMA foreign_keys = OFF").ok());
    ASSERT_TRUE(database->Execute(sql).ok());
  }

  const TempFolder folder_;
  const std::string path_ = folder_.path() + "/catalog.sqlite";
  std::unique_ptr<SqliteCatalog> catalog_;
};

TEST_F(SqliteCheck, AReferenceToNothingIsFound) {
  Tamper("DELETE FROM chunks WHERE namespace = 'docs' AND chunk_id = '" + TestChunkId(1) + "'");
  const CatalogCheck check = catalog_->Verify().value();
  EXPECT_EQ(check.num_problems, 1);
  EXPECT_THAT(check.problems, ElementsAre(HasSubstr("document_chunks has nothing to refer to in chunks")));
}

TEST_F(SqliteCheck, AChunkThatNobodyUsesIsFoundAndDropped) {
  Tamper("DELETE FROM document_chunks WHERE namespace = 'docs'");
  EXPECT_EQ(catalog_->Verify()->num_problems, 2);
  EXPECT_THAT(catalog_->Repair()->released_chunk_ids, ElementsAre()) << "the other namespace uses them";
  EXPECT_EQ(catalog_->Verify()->num_problems, 0);
  Tamper("DELETE FROM document_chunks WHERE namespace = 'other'");
  EXPECT_THAT(catalog_->Repair()->released_chunk_ids, ElementsAre(TestChunkId(1), TestChunkId(2)));
  EXPECT_EQ(catalog_->Verify()->num_chunks, 0);
}

TEST_F(SqliteCheck, AReaderMayVerifyAndNotRepair) {
  const auto reader = SqliteCatalog::OpenReadOnly({.path = path_});
  EXPECT_EQ(reader->Verify()->num_problems, 0);
  EXPECT_EQ(reader->Repair().status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace cacheclip
