#include "common/store/redis/redis_chunk_store.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/store/memory_chunk_store.h"
#include "common/store/tiered_chunk_store.h"
#include "tests/support/poll.h"
#include "tests/support/redis_store_harness.h"

namespace cacheclip {
namespace {

// Four layers of two slices each.
std::shared_ptr<const EncodedChunk> MakeLargeChunk(int32_t seed = 1) {
  return MakeTestChunk({.seed = seed, .num_tokens = 300, .shape = {4, 8, 128, KvDtype::kBf16}});
}

class RedisChunkStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    server_ = std::make_unique<RedisServer>();
    admin_ = server_->MakeClient();
    store_ = Open();
  }
  std::unique_ptr<RedisChunkStore> Open(RedisChunkStoreOptions options = {}) {
    RedisClientOptions client = server_->client_options();
    client.timeout = absl::Milliseconds(300);
    options.clock = &clock_;
    return RedisChunkStore::Make(MakeRedisClient(client).value(), options).value();
  }

  FakeClock clock_;
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<RedisClient> admin_;
  std::unique_ptr<RedisChunkStore> store_;
  const std::shared_ptr<const EncodedChunk> chunk_ = MakeLargeChunk();
};

TEST_F(RedisChunkStoreTest, EveryEvictedSliceMakesTheChunkAMiss) {
  ASSERT_EQ(chunk_->slices().size(), 8);
  for (size_t i = 0; i < chunk_->slices().size(); ++i) {
    ASSERT_TRUE(store_->Put(chunk_).ok());
    const std::string slice = RedisSliceKey(chunk_->key(), chunk_->header_bytes(), i);
    ASSERT_EQ(admin_->Execute({.args = {"DEL", slice}})->integer, 1);
    EXPECT_TRUE(absl::IsNotFound(store_->Get(chunk_->key()).status()));
    EXPECT_EQ(NumKeys(*admin_), 0) << "what is left of a half chunk goes at once";
    EXPECT_EQ(store_->stats().evictions, i + 1);
    EXPECT_EQ(store_->stats().misses, i + 1);
  }
  EXPECT_EQ(store_->stats().corrupt, 0);
}

TEST_F(RedisChunkStoreTest, FlippedBitCostsThisCopyAndTheTierBelowServes) {
  const auto below = std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{});
  const std::shared_ptr<ChunkStore> redis = Open();
  const auto stack =
      TieredChunkStore::Open({{redis, Tier::kRedis, true}, {below, Tier::kObject, true}}).value();
  ASSERT_TRUE(stack->Put(chunk_).ok());
  FlipRedisBit(*admin_, RedisSliceKey(chunk_->key(), chunk_->header_bytes(), 3), 20);
  EXPECT_TRUE(absl::IsDataLoss(stack->Get(chunk_->key(), {.avoid = {Tier::kObject}}).status()));
  EXPECT_EQ(NumKeys(*admin_), 0) << "the damaged copy is gone";
  const auto hit = stack->Get(chunk_->key());
  ASSERT_TRUE(hit.ok()) << hit.status();
  EXPECT_EQ(hit->tier, Tier::kObject);
  EXPECT_TRUE(std::ranges::equal(hit->chunk->image(), chunk_->image()));
  stack->WaitUntilIdle();
  EXPECT_TRUE(redis->Contains(chunk_->key()).value()) << "and a good one in its place";
}

TEST_F(RedisChunkStoreTest, FlippedBitInEverySliceAndTheHeaderIsFound) {
  std::vector<std::string> names =
      AllRedisKeys(chunk_->key(), chunk_->header_bytes(), chunk_->slices().size());
  names.erase(names.begin() + 1);  // there are no pins
  for (size_t i = 0; i < names.size(); ++i) {
    ASSERT_TRUE(store_->Put(chunk_).ok());
    FlipRedisBit(*admin_, names[i], 150 + static_cast<int>(i));
    EXPECT_TRUE(absl::IsDataLoss(store_->Get(chunk_->key()).status())) << names[i];
    EXPECT_EQ(store_->stats().corrupt, i + 1);
    EXPECT_FALSE(store_->Contains(chunk_->key()).value());
  }
}

TEST_F(RedisChunkStoreTest, CutAndForeignValuesAreFound) {
  const auto other = MakeLargeChunk(2);
  const std::string header(reinterpret_cast<const char*>(other->header_bytes().data()),
                           other->header_bytes().size());
  for (const std::string& value : {header, std::string("short"), std::string(1, '\0')}) {
    ASSERT_TRUE(store_->Put(chunk_).ok());
    admin_->Execute({.args = {"SETEX", RedisHeaderKey(chunk_->key()), "60", value}}).IgnoreError();
    EXPECT_TRUE(absl::IsDataLoss(store_->Get(chunk_->key()).status()));
  }
  ASSERT_TRUE(store_->Put(chunk_).ok());
  const std::string slice = RedisSliceKey(chunk_->key(), chunk_->header_bytes(), 3);
  admin_->Execute({.args = {"APPEND", slice, "x"}}).IgnoreError();
  EXPECT_TRUE(absl::IsDataLoss(store_->Get(chunk_->key()).status()));
}

TEST_F(RedisChunkStoreTest, DamageBehindTheFirstLayersLeavesThemUsable) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  FlipRedisBit(*admin_, RedisSliceKey(chunk_->key(), chunk_->header_bytes(), 5), 99);  // layer 2
  const auto hit = store_->Get(chunk_->key(), {.accept_arriving = true});
  ASSERT_TRUE(hit.ok()) << hit.status();
  ASSERT_NE(hit->arrival, nullptr);
  EXPECT_TRUE(hit->arrival->WaitForLayer(1, absl::InfiniteFuture()).ok());
  EXPECT_TRUE(absl::IsDataLoss(hit->arrival->WaitForLayer(2, absl::InfiniteFuture())));
  EXPECT_TRUE(PollUntil([&] { return store_->arriving_bytes() == 0; }));
  EXPECT_EQ(store_->stats().corrupt, 1);
  EXPECT_TRUE(std::ranges::equal(hit->chunk->Keys(1), chunk_->Keys(1)));
}

TEST_F(RedisChunkStoreTest, ServerThatHangsCostsNoMoreThanTheDeadline) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  server_->Pause();
  const absl::Time deadline = absl::Now() + absl::Milliseconds(150);
  EXPECT_TRUE(absl::IsDeadlineExceeded(store_->Get(chunk_->key(), {.deadline = deadline}).status()));
  for (int i = 0; i < 3; ++i)
    EXPECT_FALSE(store_->Get(chunk_->key()).ok()) << "no deadline: the client's timeout";
  EXPECT_TRUE(absl::IsUnavailable(store_->Get(chunk_->key()).status())) << "known by now: nobody waits";
  server_->Resume();
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(PollUntil([&] { return store_->Get(chunk_->key()).ok(); }));
}

TEST_F(RedisChunkStoreTest, ServerThatHangsWhileAChunkArrivesFailsTheArrival) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  // Whether the fetch or the hang is first is open; that it ends is not.
  const auto slow = Open({.fetching_threads = 1});
  const auto first = slow->Get(chunk_->key(), {.accept_arriving = true});
  ASSERT_TRUE(first.ok());
  server_->Pause();
  const absl::Status end = first->arrival->WaitForAll(absl::InfiniteFuture());
  EXPECT_TRUE(end.ok() || absl::IsDeadlineExceeded(end) || absl::IsUnavailable(end)) << end;
  server_->Resume();
}

TEST_F(RedisChunkStoreTest, KilledServerIsAMissAfterItsRestart) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  server_->Kill();
  EXPECT_TRUE(absl::IsUnavailable(store_->Get(chunk_->key()).status()));
  EXPECT_TRUE(absl::IsUnavailable(store_->Put(chunk_)));
  EXPECT_TRUE(absl::IsUnavailable(store_->Contains(chunk_->key()).status()));
  server_->Restart();
  EXPECT_TRUE(PollUntil([&] { return absl::IsNotFound(store_->Get(chunk_->key()).status()); }));
  EXPECT_TRUE(store_->Put(chunk_).ok());
  EXPECT_TRUE(store_->Get(chunk_->key()).ok());
}

TEST_F(RedisChunkStoreTest, StoresOnOneServerHitEachOthersChunks) {
  const auto other = Open();
  ASSERT_TRUE(store_->Put(chunk_).ok());
  EXPECT_TRUE(other->Get(chunk_->key()).ok());
  ASSERT_TRUE(other->Delete(chunk_->key()).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->Get(chunk_->key()).status()));
}

TEST_F(RedisChunkStoreTest, AUseRenewsTheTtlButNotEveryTime) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  const std::string header = RedisHeaderKey(chunk_->key());
  const auto shorten = [&] { admin_->Execute({.args = {"PEXPIRE", header, "60000"}}).IgnoreError(); };
  shorten();
  ASSERT_TRUE(store_->Get(chunk_->key()).ok());
  EXPECT_LE(TtlOf(*admin_, header), absl::Minutes(1)) << "it was renewed a moment ago";
  clock_.Advance(absl::Hours(2));
  store_->MarkUsed(chunk_->key());
  EXPECT_TRUE(PollUntil([&] { return TtlOf(*admin_, header) > absl::Hours(24 * 6); }));
  shorten();
  clock_.Advance(absl::Hours(2));
  ASSERT_TRUE(store_->Get(chunk_->key()).ok());
  EXPECT_TRUE(PollUntil([&] { return TtlOf(*admin_, header) > absl::Hours(24 * 6); }));
}

TEST_F(RedisChunkStoreTest, BytesOnTheirWayInAreBounded) {
  std::vector<StoreHit> hits;
  const auto bounded = Open({.fetching_threads = 4, .max_arriving_bytes = chunk_->total_bytes() + 1});
  ASSERT_TRUE(bounded->Put(chunk_).ok());
  for (int i = 0; i < 10; ++i) {
    const auto hit = bounded->Get(chunk_->key(), {.accept_arriving = true});
    ASSERT_TRUE(hit.ok()) << hit.status();
    EXPECT_LE(bounded->arriving_bytes(), chunk_->total_bytes() + 1);
    hits.push_back(*hit);
  }
  for (const StoreHit& hit : hits) {
    if (hit.arrival == nullptr) continue;  // the fetching threads were busy
    EXPECT_TRUE(hit.arrival->WaitForAll(absl::InfiniteFuture()).ok());
  }
}

TEST_F(RedisChunkStoreTest, StoreThatGoesFailsWhatIsStillArriving) {
  ASSERT_TRUE(store_->Put(chunk_).ok());
  std::vector<StoreHit> hits;
  for (int i = 0; i < 20; ++i) hits.push_back(store_->Get(chunk_->key(), {.accept_arriving = true}).value());
  store_.reset();
  for (const StoreHit& hit : hits) {
    const absl::Status end = hit.arrival == nullptr ? absl::OkStatus() : hit.arrival->WaitForAll(absl::Now());
    EXPECT_TRUE(end.ok() || absl::IsUnavailable(end)) << end;
  }
}

TEST_F(RedisChunkStoreTest, OptionsOutOfBoundsAreRefusedByName) {
  const auto field = [&](RedisChunkStoreOptions options) {
    return FieldOf(RedisChunkStore::Make(server_->MakeClient(), options).status());
  };
  EXPECT_EQ(field({.ttl = absl::ZeroDuration()}), "ttl");
  EXPECT_EQ(field({.write_timeout = absl::ZeroDuration()}), "write_timeout");
  EXPECT_EQ(field({.fetching_threads = 0}), "fetching_threads");
  EXPECT_EQ(field({.max_arriving_bytes = 0}), "max_arriving_bytes");
}

}  // namespace
}  // namespace cacheclip
