#include "common/catalog/sqlite_namespaces.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/catalog/sqlite_schema.h"
#include "tests/support/catalog_contract.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

class SqliteNamespacesTest : public testing::Test {
 protected:
  SqliteNamespacesTest() {
    EXPECT_TRUE(database_->Execute("PRAGMA synchronous = OFF").ok());
    EXPECT_TRUE(CreateOrCheckCatalogSchema(*database_).ok());
  }

  TempFolder folder_;
  std::unique_ptr<SqliteDatabase> database_ =
      SqliteDatabase::Open({.path = folder_.path() + "/c.sqlite"}).value();
};

TEST_F(SqliteNamespacesTest, NamespacesAreBounded) {
  SqliteTransaction transaction(*database_);
  ASSERT_TRUE(transaction.BeginWrite().ok());
  for (int i = 0; i < kMaxNamespaces; ++i)
    ASSERT_TRUE(InsertNamespace(*database_, absl::StrCat("n", i), i).ok());
  const absl::Status status = InsertNamespace(*database_, "one-more", 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(FieldOf(status), "namespace");
  EXPECT_EQ(ReadNamespaces(*database_).value().size(), kMaxNamespaces);
}

TEST_F(SqliteNamespacesTest, PrefixesAreBoundedButMayBeReplaced) {
  SqliteTransaction transaction(*database_);
  ASSERT_TRUE(transaction.BeginWrite().ok());
  ASSERT_TRUE(InsertNamespace(*database_, "docs", 0).ok());
  for (int i = 0; i < kMaxPrefixesPerNamespace; ++i)
    ASSERT_TRUE(ReplacePrefix(*database_, TestPrefix("docs", absl::StrCat(absl::Hex(i)))).ok());
  EXPECT_EQ(ReplacePrefix(*database_, TestPrefix("docs", "fff")).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(ReplacePrefix(*database_, TestPrefix("docs", "0")).ok());
  EXPECT_TRUE(HasPrefix(*database_, "docs", "0").value());
  EXPECT_FALSE(HasPrefix(*database_, "docs", "fff").value());
}

}  // namespace
}  // namespace cacheclip
