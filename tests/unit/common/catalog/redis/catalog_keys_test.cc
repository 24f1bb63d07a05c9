#include "common/catalog/redis/catalog_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "common/redis/key_slot.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;

std::string Id(char first, char second) { return std::string{first, second} + std::string(62, 'a'); }

TEST(CatalogKeys, AllKeysOfANamespaceShareASlot) {
  const NamespaceKeys keys("cc:cat", "docs");
  std::set<int> slots;
  for (const std::string& key :
       {keys.info(), keys.prefixes(), keys.document_ids(), keys.documents("0a"), keys.uses("1234"),
        keys.changes("1234"), keys.chunks("ff"), keys.references("00"), keys.expiring(), keys.live(),
        keys.staged(), keys.dead(), keys.orphans(), keys.pins(), keys.pin_times()})
    slots.insert(RedisKeySlot(key));
  EXPECT_EQ(slots.size(), 1u);
}

TEST(CatalogKeys, ChunksSpreadOverTheSlots) {
  std::set<int> slots;
  for (char digit = '0'; digit <= '9'; ++digit)
    slots.insert(RedisKeySlot(HoldersKey("cc:cat", Id(digit, 'a'))));
  EXPECT_GT(slots.size(), 5u);
}

TEST(CatalogKeys, HoldersKeyGivesItsChunkBack) {
  EXPECT_EQ(ChunkIdOfHoldersKey("a:b", HoldersKey("a:b", Id('1', '2'))), Id('1', '2'));
  EXPECT_EQ(HoldersPattern("a:b"), "a:b:{*}:holders");
}

TEST(CatalogKeys, BucketsAreNamedByTwoDigits) {
  EXPECT_EQ(BucketName(0), "00");
  EXPECT_EQ(BucketName(kNumCatalogBuckets - 1), "ff");
  EXPECT_EQ(ChunkBucket(Id('b', '3')), "b3");
  EXPECT_EQ(DocumentBucket("some document"), DocumentBucket("some document"));
  std::set<std::string> buckets;
  for (int i = 0; i < 10000; ++i) buckets.insert(DocumentBucket(std::to_string(i)));
  EXPECT_EQ(buckets.size(), static_cast<size_t>(kNumCatalogBuckets));
}

TEST(CatalogKeys, EachBucketIsNamedOnce) {
  const NamespaceKeys keys("r", "n");
  const std::vector<std::string> ids = {Id('0', '1'), Id('f', 'f'), Id('0', '1')};
  std::vector<std::string> names = {"before"};
  AddBucketKeys(keys, ids, BucketKinds::kReferencesAndChunks, names);
  EXPECT_THAT(names, ElementsAre("before", "r:{n}:references:01", "r:{n}:chunks:01", "r:{n}:references:ff",
                                 "r:{n}:chunks:ff"));
}

}  // namespace
}  // namespace cacheclip
