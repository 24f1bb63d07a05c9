#include "common/catalog/redis/leftovers.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/catalog/redis/document_put.h"
#include "common/catalog/redis/document_removal.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LeftoversTest : public RedisCatalogTest {
 protected:
  int64_t Sweep(absl::Time staged_before) {
    return SweepNamespace(*server_, "docs", staged_before, released_).value();
  }
  std::set<std::string> released_;
};

TEST_F(LeftoversTest, HundredsOfExpiredDocumentsGoInSteps) {
  for (int i = 0; i < 250; ++i) {
    TestDocument test = MakeTestDocument("docs", absl::StrCat("d", i), {i});
    test.document.expire_time = clock_.Now() + absl::Minutes(1 + i % 2);
    Put(test);
  }
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(Sweep(clock_.Now()), 125);
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(Sweep(clock_.Now()), 125);
  EXPECT_EQ(released_.size(), 250u);
}

TEST_F(LeftoversTest, WhatADeadWriterStagedIsClosedWhenItIsOld) {
  const TestDocument test = MakeTestDocument("docs", "d", {1, 2});
  ASSERT_TRUE(StageDocument(*server_, test.document, test.chunks, "00000000000000aa").ok());
  EXPECT_EQ(Sweep(clock_.Now()), 0);
  EXPECT_EQ(catalog_->Verify().value().num_leftovers, 1);
  clock_.Advance(absl::Hours(1));
  Sweep(clock_.Now());
  EXPECT_THAT(released_, ElementsAre(TestChunkId(1), TestChunkId(2)));
  EXPECT_EQ(catalog_->Verify().value().num_leftovers, 0);
  EXPECT_EQ(catalog_->Verify().value().num_holds, 0);
}

TEST_F(LeftoversTest, DroppedDocumentIsCleanedUpByTheNextSweep) {
  Put("d", {1});
  ASSERT_TRUE(DropDocument(*server_, "docs", "d", kIfLiving).value().has_value());
  EXPECT_EQ(Sweep(clock_.Now()), 0);  // nothing expired
  EXPECT_THAT(released_, ElementsAre(TestChunkId(1)));
}

TEST_F(LeftoversTest, OrphanThatWasNotReportedIsReportedByTheNextSweep) {
  Put("d", {1});
  Put(MakeTestDocument("other", "d", {2}));
  const NamespaceKeys keys(root_, "docs");
  const std::vector<std::string> ids = {TestChunkId(1)};
  EXPECT_EQ(catalog_->DeleteDocument("docs", "d").value(), ids);
  // As if the process had died before it gave up the holds; the other chunk is in use next door.
  Ask({"ZADD", HoldersKey(root_, TestChunkId(1)), "1", "docs"});
  Ask({"ZADD", HoldersKey(root_, TestChunkId(2)), "1", "docs"});
  Ask({"HSET", keys.orphans(), TestChunkId(1), "1", TestChunkId(2), "1"});
  Sweep(clock_.Now());
  EXPECT_THAT(released_, ElementsAre(TestChunkId(1)));
}

TEST_F(LeftoversTest, ManyPinsAreSweptInSteps) {
  std::vector<int> numbers;
  std::vector<std::string> ids;
  for (int i = 0; i < 1200; ++i) {
    numbers.push_back(i);
    ids.push_back(TestChunkId(i));
  }
  Put("d", numbers);
  ASSERT_TRUE(catalog_->PinChunks("docs", ids, "early", clock_.Now() + absl::Hours(1)).ok());
  ASSERT_TRUE(catalog_->PinChunks("docs", ids, "late", clock_.Now() + absl::Hours(2)).ok());
  clock_.Advance(absl::Hours(1));
  Sweep(clock_.Now());
  EXPECT_EQ(Ask({"ZCARD", NamespaceKeys(root_, "docs").pins()}).integer, 1200);
  EXPECT_EQ(catalog_->UnpinChunks("docs", ids, "late").value(), 1200);
}

TEST_F(LeftoversTest, TrimLooksAtEveryDocument) {
  for (int i = 0; i < 230; ++i) {
    TestDocument test = MakeTestDocument("docs", absl::StrCat("d", i), {i});
    test.document.writer_version = i % 2 == 0 ? "even" : "odd";
    Put(test);
  }
  EXPECT_EQ(TrimNamespace(*server_, "docs", {.writer_version = "odd"}, released_).value(), 115);
  EXPECT_EQ(released_.size(), 115u);
  EXPECT_EQ(TrimNamespace(*server_, "docs", {.writer_version = "odd"}, released_).value(), 0);
  EXPECT_EQ(TrimNamespace(*server_, "other", {.writer_version = "even"}, released_).value(), 0);
}

}  // namespace
}  // namespace cacheclip
