#include "common/catalog/sqlite_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

class SqliteSchemaTest : public testing::Test {
 protected:
  bool HasTable(const std::string& name) {
    SqliteStatement row =
        database_->Query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", name).value();
    return row.Step().value();
  }

  TempFolder folder_;
  std::unique_ptr<SqliteDatabase> database_ =
      SqliteDatabase::Open({.path = folder_.path() + "/c.sqlite"}).value();
};

TEST_F(SqliteSchemaTest, EmptyFileIsFilledOnceAndThenAccepted) {
  EXPECT_EQ(CheckCatalogSchema(*database_).code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(CreateOrCheckCatalogSchema(*database_).ok());
  for (const char* table : {"namespaces", "prefixes", "documents", "chunks", "document_chunks", "pins"})
    EXPECT_TRUE(HasTable(table)) << table;
  EXPECT_TRUE(CheckCatalogSchema(*database_).ok());
  EXPECT_TRUE(CreateOrCheckCatalogSchema(*database_).ok());
}

TEST_F(SqliteSchemaTest, OtherVersionsAreRefusedByBothChecks) {
  ASSERT_TRUE(database_->Execute("PRAGMA user_version = 7").ok());
  for (const absl::Status& status :
       {CreateOrCheckCatalogSchema(*database_), CheckCatalogSchema(*database_)}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("schema version 7"));
  }
  EXPECT_FALSE(HasTable("documents"));
}

TEST_F(SqliteSchemaTest, FailedCreationLeavesNoHalfSchema) {
  ASSERT_TRUE(database_->Execute("CREATE TABLE chunks (unrelated)").ok());  // somebody else's file
  EXPECT_FALSE(CreateOrCheckCatalogSchema(*database_).ok());
  EXPECT_FALSE(HasTable("namespaces"));
  EXPECT_EQ(CheckCatalogSchema(*database_).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace cacheclip
