#include "common/catalog/sqlite_database.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

class SqliteDatabaseTest : public testing::Test {
 protected:
  TempFolder folder_;
  const std::string path_ = folder_.path() + "/test.sqlite";
  std::unique_ptr<SqliteDatabase> database_ = SqliteDatabase::Open({.path = path_}).value();
};

TEST_F(SqliteDatabaseTest, BindsAndReadsEveryKind) {
  ASSERT_TRUE(database_->Execute("CREATE TABLE t (a INTEGER, b TEXT, c BLOB, d TEXT)").ok());
  const std::string text("a\0b", 3);
  EXPECT_EQ(
      database_->Run("INSERT INTO t VALUES (?, ?, ?, ?)", int64_t{-7}, text, std::vector<int32_t>{1, -1}, "")
          .value(),
      1);
  SqliteStatement row = database_->Query("SELECT a, b, c, d, d IS NULL FROM t").value();
  ASSERT_TRUE(row.Step().value());
  EXPECT_EQ(row.Int(0), -7);
  EXPECT_EQ(row.Text(1), text);
  EXPECT_EQ(row.Text(2), std::string("\1\0\0\0\xff\xff\xff\xff", 8));
  EXPECT_EQ(row.Text(3), "");
  EXPECT_EQ(row.Int(4), 0);  // empty text is not NULL
  EXPECT_FALSE(row.Step().value());
}

TEST_F(SqliteDatabaseTest, TransactionWithoutCommitLeavesNothing) {
  ASSERT_TRUE(database_->Execute("CREATE TABLE t (a)").ok());
  {
    SqliteTransaction transaction(*database_);
    ASSERT_TRUE(transaction.BeginWrite().ok());
    ASSERT_TRUE(database_->Run("INSERT INTO t VALUES (1)").ok());
  }
  SqliteStatement row = database_->Query("SELECT count(*) FROM t").value();
  ASSERT_TRUE(row.Step().value());
  EXPECT_EQ(row.Int(0), 0);
}

TEST_F(SqliteDatabaseTest, SameTextMayBeInUseTwice) {
  ASSERT_TRUE(database_->Execute("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").ok());
  SqliteStatement first = database_->Query("SELECT a FROM t ORDER BY a").value();
  ASSERT_TRUE(first.Step().value());
  SqliteStatement second = database_->Query("SELECT a FROM t ORDER BY a").value();
  ASSERT_TRUE(second.Step().value());
  ASSERT_TRUE(first.Step().value());
  EXPECT_EQ(first.Int(0), 2);
  EXPECT_EQ(second.Int(0), 1);
}

TEST_F(SqliteDatabaseTest, FullDiskIsResourceExhaustedAndHarmless) {
  ASSERT_TRUE(database_->Execute("CREATE TABLE t (a); PRAGMA max_page_count = 4").ok());
  {
    SqliteTransaction transaction(*database_);
    ASSERT_TRUE(transaction.BeginWrite().ok());
    EXPECT_EQ(database_->Run("INSERT INTO t VALUES (?)", std::string(1 << 20, 'x')).status().code(),
              absl::StatusCode::kResourceExhausted);
  }
  EXPECT_TRUE(database_->Run("INSERT INTO t VALUES (?)", "small").ok());
}

TEST_F(SqliteDatabaseTest, BadSqlIsInternalAndNamesTheFile) {
  const absl::Status status = database_->Query("SELEKT").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_NE(std::string(status.message()).find(path_), std::string::npos);
}

TEST_F(SqliteDatabaseTest, ReadOnlyDatabaseRefusesToWrite) {
  ASSERT_TRUE(database_->Execute("CREATE TABLE t (a)").ok());
  const auto reader = SqliteDatabase::Open({.path = path_, .read_only = true}).value();
  EXPECT_EQ(reader->Run("INSERT INTO t VALUES (1)").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SqliteDatabaseTest, MissingFileIsUnavailableToAReader) {
  EXPECT_EQ(SqliteDatabase::Open({.path = path_ + ".none", .read_only = true}).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace cacheclip
