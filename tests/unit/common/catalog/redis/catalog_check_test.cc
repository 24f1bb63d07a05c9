#include "common/catalog/redis/catalog_check.h"

#include <string>

#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

class CatalogCheckTest : public RedisCatalogTest {
 protected:
  void SetUp() override {
    RedisCatalogTest::SetUp();
    if (catalog_ == nullptr) return;
    Put("a", {1, 2, 1});
    Put("b", {2});
    Put(MakeTestDocument("other", "a", {2}));
    TestDocument test = MakeTestDocument("docs", "c", {3});
    test.document.expire_time = clock_.Now() + absl::Hours(1);
    Put(test);
  }
  void TearDown() override {}  // these tests break their catalogue

  // Does this to the server; the check must then speak of `problem`.
  void ExpectProblem(std::vector<std::string> command, const std::string& problem) {
    Ask(std::move(command));
    const CatalogCheck check = CheckCatalog(*server_).value();
    EXPECT_GE(check.num_problems, 1);
    EXPECT_THAT(ProblemsOf(*catalog_), HasSubstr(problem));
  }
  const NamespaceKeys keys_{root_, "docs"};
};

TEST_F(CatalogCheckTest, SoundCatalogueIsCounted) {
  const CatalogCheck check = CheckCatalog(*server_).value();
  EXPECT_EQ(check.num_problems, 0) << ProblemsOf(*catalog_);
  EXPECT_EQ(check.num_namespaces, 2);
  EXPECT_EQ(check.num_documents, 4);
  EXPECT_EQ(check.num_chunks, 4);  // three of docs, one of other
  EXPECT_EQ(check.num_holds, 4);
  EXPECT_EQ(check.num_leftovers, 0);
}

TEST_F(CatalogCheckTest, LostReferenceIsFound) {
  ExpectProblem({"ZREMRANGEBYLEX", keys_.references("00"), "[" + TestChunkId(2), "(" + TestChunkId(2) + "g"},
                "references: " + TestChunkId(2));
}

TEST_F(CatalogCheckTest, LostRecordIsFound) {
  ExpectProblem({"HDEL", keys_.chunks("00"), TestChunkId(1)},
                "chunk records: " + TestChunkId(1) + " is missing");
}

TEST_F(CatalogCheckTest, ReferenceToNothingIsFound) {
  ExpectProblem({"ZADD", keys_.references("00"), "0", TestChunkId(9) + std::string(32, '0')}, "is too much");
}

TEST_F(CatalogCheckTest, MissingAndNeedlessHoldsAreFound) {
  ExpectProblem({"ZREM", HoldersKey(root_, TestChunkId(2)), "other"},
                "other uses chunk " + TestChunkId(2) + " and does not hold it");
  ExpectProblem({"ZADD", HoldersKey(root_, TestChunkId(9)), "1", "docs"},
                "docs holds chunk " + TestChunkId(9) + " and does not use it");
}

TEST_F(CatalogCheckTest, UnlistedDocumentIsFound) {
  ExpectProblem({"ZREM", keys_.document_ids(), "a"}, "listed documents: a is missing");
}

TEST_F(CatalogCheckTest, DocumentThatWouldNotExpireIsFound) {
  ExpectProblem({"DEL", keys_.expiring()}, "expiring documents");
}

TEST_F(CatalogCheckTest, PinOfNothingIsFound) {
  ExpectProblem({"HSET", keys_.pin_times(), TestChunkId(9) + "me", "0"}, "holds no chunk");
}

TEST_F(CatalogCheckTest, ProblemsAreAllCountedAndSomeListed) {
  for (int i = 100; i < 300; ++i) Ask({"ZADD", HoldersKey(root_, TestChunkId(i)), "1", "docs"});
  const CatalogCheck check = CheckCatalog(*server_).value();
  EXPECT_EQ(check.num_problems, 200);
  EXPECT_EQ(check.problems.size(), kMaxListedProblems);
}

}  // namespace
}  // namespace cacheclip
