#include "common/catalog/redis/document_removal.h"

#include <set>
#include <string>
#include <vector>

#include "common/catalog/redis/document_put.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class DocumentRemovalTest : public RedisCatalogTest {
 protected:
  // As a process that dies after the first step.
  std::string Drop(const std::string& document_id, const std::string& namespace_name = "docs") {
    return DropDocument(*server_, namespace_name, document_id, kIfLiving).value().value();
  }
  std::set<std::string> released_;
};

TEST_F(DocumentRemovalTest, ConditionDecides) {
  TestDocument test = MakeTestDocument("docs", "d", {1});
  test.document.expire_time = clock_.Now() + absl::Hours(1);
  Put(test);
  EXPECT_FALSE(DropDocument(*server_, "docs", "d", kIfExpired).value().has_value());
  EXPECT_FALSE(DropDocument(*server_, "docs", "d", "0123456789abcdef").value().has_value());
  EXPECT_FALSE(DropDocument(*server_, "docs", "none", kIfLiving).value().has_value());
  clock_.Advance(absl::Hours(1));
  EXPECT_FALSE(DropDocument(*server_, "docs", "d", kIfLiving).value().has_value());
  EXPECT_TRUE(DropDocument(*server_, "docs", "d", kIfExpired).value().has_value());
}

TEST_F(DocumentRemovalTest, DroppedDocumentIsGoneBeforeItIsCleanedUp) {
  Put("d", {1});
  const std::string revision = Drop("d");
  EXPECT_FALSE(Resolves(1));
  EXPECT_TRUE(absl::IsNotFound(catalog_->DeleteDocument("docs", "d").status()));
  ASSERT_TRUE(CleanUpRevision(*server_, "docs", revision, released_).ok());
  EXPECT_THAT(released_, ElementsAre(TestChunkId(1)));
}

TEST_F(DocumentRemovalTest, CleaningUpTwiceReleasesOnce) {
  Put("d", {1, 2, 1});
  const std::string revision = Drop("d");
  ASSERT_TRUE(CleanUpRevision(*server_, "docs", revision, released_).ok());
  EXPECT_EQ(released_.size(), 2u);
  released_.clear();
  ASSERT_TRUE(CleanUpRevision(*server_, "docs", revision, released_).ok());
  EXPECT_THAT(released_, IsEmpty());
}

TEST_F(DocumentRemovalTest, ChunkPutAgainMeanwhileIsNotReleased) {
  Put("d", {1, 2});
  const std::string revision = Drop("d");
  Put("e", {1});
  ASSERT_TRUE(CleanUpRevision(*server_, "docs", revision, released_).ok());
  EXPECT_THAT(released_, ElementsAre(TestChunkId(2)));
  EXPECT_TRUE(Resolves(1));
}

TEST_F(DocumentRemovalTest, LateReleaseDoesNotTakeANewerHold) {
  Put("d", {1});
  const int64_t sequence = IntegerOf(Ask({"HGET", NamespaceKeys(root_, "docs").info(), "sequence"}));
  EXPECT_THAT(catalog_->DeleteDocument("docs", "d").value(), ElementsAre(TestChunkId(1)));
  Put("e", {1});
  // Somebody who saw the orphan before it was used again, and was slow.
  const std::vector<std::string> ids = {TestChunkId(1)};
  ASSERT_TRUE(ReleaseChunks(*server_, "docs", sequence, ids, released_).ok());
  EXPECT_THAT(released_, IsEmpty());
  // A neighbour that lets go of the chunk now still finds it held.
  Put(MakeTestDocument("other", "f", {1}));
  EXPECT_THAT(catalog_->DeleteDocument("other", "f").value(), IsEmpty());
}

TEST_F(DocumentRemovalTest, BothOfTwoNamespacesDroppingAtOnceReleaseAtTheEnd) {
  Put("a", {1});
  Put(MakeTestDocument("other", "a", {1}));
  const std::string here = Drop("a"), there = Drop("a", "other");
  ASSERT_TRUE(CleanUpRevision(*server_, "docs", here, released_).ok());
  EXPECT_THAT(released_, IsEmpty());
  ASSERT_TRUE(CleanUpRevision(*server_, "other", there, released_).ok());
  EXPECT_THAT(released_, ElementsAre(TestChunkId(1)));
}

TEST_F(DocumentRemovalTest, OnlySilentWritesAreGivenUp) {
  const TestDocument test = MakeTestDocument("docs", "d", {1});
  ASSERT_TRUE(StageDocument(*server_, test.document, test.chunks, "00000000000000aa").ok());
  EXPECT_FALSE(AbandonRevision(*server_, "docs", "00000000000000aa", clock_.Now(), released_).value());
  EXPECT_THAT(released_, IsEmpty());
  EXPECT_TRUE(
      AbandonRevision(*server_, "docs", "00000000000000aa", absl::InfiniteFuture(), released_).value());
  EXPECT_THAT(released_, ElementsAre(TestChunkId(1)));
  EXPECT_EQ(catalog_->Verify().value().num_leftovers, 0);
}

}  // namespace
}  // namespace cacheclip
