#include "common/catalog/redis/catalog_repair.h"

#include <string>
#include <vector>

#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CatalogRepairTest : public RedisCatalogTest {};

TEST_F(CatalogRepairTest, MissingHoldComesBackBeforeANeighbourReleases) {
  Put("a", {1});
  Put(MakeTestDocument("other", "a", {1}));
  Ask({"ZREM", HoldersKey(root_, TestChunkId(1)), "docs"});  // as lost in a failover
  ASSERT_TRUE(catalog_->Repair().ok());
  EXPECT_THAT(catalog_->DeleteDocument("other", "a").value(), IsEmpty());
  EXPECT_THAT(catalog_->DeleteDocument("docs", "a").value(), ElementsAre(TestChunkId(1)));
}

TEST_F(CatalogRepairTest, NeedlessHoldIsReleased) {
  Put("a", {1});
  Ask({"ZADD", HoldersKey(root_, TestChunkId(1)), "1", "other"});
  Ask({"ZADD", HoldersKey(root_, TestChunkId(2)), "77", "docs"});  // of a sequence that the server has lost
  const Removal removal = catalog_->Repair().value();
  EXPECT_EQ(removal.num_documents, 0);
  EXPECT_THAT(removal.released_chunk_ids, ElementsAre(TestChunkId(2)));  // 1 is in use by docs
  EXPECT_EQ(catalog_->Verify().value().num_holds, 1);
}

TEST_F(CatalogRepairTest, HoldOfALostNamespaceIsDropped) {
  Ask({"ZADD", HoldersKey(root_, TestChunkId(2)), "1", "lost"});
  ASSERT_TRUE(RepairHolders(*server_).ok());
  EXPECT_EQ(Ask({"EXISTS", HoldersKey(root_, TestChunkId(2))}).integer, 0);
}

TEST_F(CatalogRepairTest, SoundCatalogueIsLeftAsItIs) {
  std::vector<int> numbers;
  for (int i = 0; i < 300; ++i) numbers.push_back(i * 7919);
  Put("a", numbers);
  const RedisReply before = Ask({"ZSCORE", HoldersKey(root_, TestChunkId(7919)), "docs"});
  EXPECT_THAT(catalog_->Repair().value().released_chunk_ids, IsEmpty());
  EXPECT_EQ(Ask({"ZSCORE", HoldersKey(root_, TestChunkId(7919)), "docs"}), before);
}

}  // namespace
}  // namespace cacheclip
