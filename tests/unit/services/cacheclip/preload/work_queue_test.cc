#include "services/cacheclip/preload/work_queue.h"

#include <set>

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(ShardQueue, ShardsTogetherGiveEachItemOnce) {
  for (const int64_t total : {0, 1, 6, 7}) {
    std::multiset<int64_t> seen;
    int64_t sum_of_sizes = 0;
    for (int64_t shard = 1; shard <= 3; ++shard) {
      ShardQueue queue(total, shard, 3);
      sum_of_sizes += queue.State()->total;
      for (auto claim = *queue.Next(); claim.answer == WorkQueue::Answer::kItem; claim = *queue.Next())
        seen.insert(claim.index);
    }
    EXPECT_EQ(sum_of_sizes, total);
    EXPECT_EQ(seen.size(), static_cast<size_t>(total));
    for (int64_t i = 0; i < total; ++i) EXPECT_EQ(seen.count(i), 1) << i;
  }
}

TEST(ShardQueue, CountsWhatWentWellAndWhatDidNot) {
  ShardQueue queue(3, 1, 1);
  ASSERT_TRUE(queue.Finish(0, "").ok());
  ASSERT_TRUE(queue.Finish(1, "no text").ok());
  EXPECT_EQ(queue.State()->done, 1);
  EXPECT_EQ(queue.State()->failed, 1);
}

TEST(ParseShard, TakesIOfNAndNamesTheFlagOtherwise) {
  EXPECT_EQ(ParseShard("2/5")->index, 2);
  EXPECT_EQ(ParseShard("2/5")->count, 5);
  for (const char* bad : {"", "2", "0/5", "6/5", "a/b", "1/0", "-1/2"})
    EXPECT_EQ(FieldOf(ParseShard(bad).status()), "shard") << bad;
}

}  // namespace
}  // namespace cacheclip
