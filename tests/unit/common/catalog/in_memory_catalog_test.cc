#include "common/catalog/in_memory_catalog.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/catalog_contract.h"

namespace cacheclip {
namespace {

std::unique_ptr<Catalog> MakeInMemory(const Clock* clock) { return std::make_unique<InMemoryCatalog>(clock); }

INSTANTIATE_TEST_SUITE_P(InMemory, CatalogContract, testing::Values(CatalogFactory(MakeInMemory)));

TEST(InMemoryCatalog, NamespacesAndPrefixesAreBounded) {
  InMemoryCatalog catalog;
  for (int i = 0; i < kMaxNamespaces; ++i) ASSERT_TRUE(catalog.PutNamespace(absl::StrCat("n", i)).ok());
  EXPECT_EQ(catalog.PutNamespace("one-more").status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(catalog.PutNamespace("n0").ok());
  for (int i = 0; i < kMaxPrefixesPerNamespace; ++i)
    ASSERT_TRUE(catalog.PutPrefix(TestPrefix("n0", absl::StrCat(absl::Hex(i)))).ok());
  EXPECT_EQ(catalog.PutPrefix(TestPrefix("n0", "fff")).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(catalog.PutPrefix(TestPrefix("n0", "0")).ok());
}

}  // namespace
}  // namespace cacheclip
