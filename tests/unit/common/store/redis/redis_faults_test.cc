// The Redis tier under load while real servers are killed, hang, fail over and move slots: a chunk comes back
// with exactly its bytes or not at all, every call ends by its deadline, and afterwards everything works
// again.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "tests/support/poll.h"
#include "tests/support/redis_store_harness.h"

namespace cacheclip {
namespace {

constexpr int kSeeds = 12;

std::shared_ptr<const EncodedChunk> MakeChunk(int32_t seed) {
  return MakeTestChunk({.seed = seed, .num_tokens = 40, .shape = {6, 4, 64, KvDtype::kBf16}});
}

// Threads that put, get (whole and arriving) and delete until Stop().
class Load {
 public:
  explicit Load(ChunkStore& store) : store_(store) {
    for (int32_t seed = 0; seed < kSeeds; ++seed) chunks_.push_back(MakeChunk(seed + 1));
    for (int thread = 0; thread < 3; ++thread) threads_.emplace_back([this, thread] { Loop(thread); });
  }
  ~Load() { Stop(); }
  void Stop() {
    is_done_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  bool WaitForHits(int64_t count) {
    const int64_t before = hits;
    return PollUntil([&] { return hits >= before + count; });
  }
  bool WaitForErrors(int64_t count) {
    const int64_t before = errors;
    return PollUntil([&] { return errors >= before + count; });
  }
  std::atomic<int64_t> hits{0}, misses{0}, errors{0}, wrong{0};

 private:
  void Loop(int thread) {
    for (int i = 0; !is_done_; ++i) {
      const auto& chunk = chunks_[(thread * 5 + i * 7) % kSeeds];
      const absl::Time deadline = absl::Now() + absl::Seconds(20);
      auto hit = store_.Get(chunk->key(), {.deadline = deadline, .accept_arriving = i % 2 == 0});
      absl::Status status = hit.status();
      if (hit.ok() && hit->arrival != nullptr) status = hit->arrival->WaitForAll(deadline);
      if (status.ok()) {
        ++(std::ranges::equal(hit->chunk->image(), chunk->image()) ? hits : wrong);
      } else if (absl::IsNotFound(status)) {
        ++misses;
        if (!store_.Put(chunk).ok()) ++errors;
      } else {
        ++errors;
        if (absl::IsDataLoss(status)) ++wrong;  // nobody damages anything here
      }
      if (i % 17 == 0) store_.Delete(chunk->key()).IgnoreError();
    }
  }

  ChunkStore& store_;
  std::vector<std::shared_ptr<const EncodedChunk>> chunks_;
  std::atomic<bool> is_done_{false};
  std::vector<std::thread> threads_;
};

std::unique_ptr<RedisChunkStore> Open(RedisClientOptions options) {
  options.timeout = absl::Milliseconds(500);
  options.breaker_backoff = options.max_breaker_backoff = absl::Milliseconds(50);
  return RedisChunkStore::Make(MakeRedisClient(options).value(), {}).value();
}

class RedisFaults : public testing::Test {
 protected:
  void SetUp() override { CACHECLIP_NEEDS_REDIS(); }
};

TEST_F(RedisFaults, ServerKilledAndRestartedUnderLoad) {
  RedisServer server;
  const auto store = Open(server.client_options());
  Load load(*store);
  for (int round = 0; round < 8; ++round) {
    ASSERT_TRUE(load.WaitForHits(200)) << "round " << round;
    server.Kill();
    EXPECT_TRUE(load.WaitForErrors(1));
    server.Restart();
  }
  EXPECT_TRUE(load.WaitForHits(200));
  load.Stop();
  EXPECT_EQ(load.wrong, 0) << "of " << load.hits;
}

TEST_F(RedisFaults, ServerThatHangsUnderLoad) {
  RedisServer server;
  const auto store = Open(server.client_options());
  Load load(*store);
  for (int round = 0; round < 4; ++round) {
    ASSERT_TRUE(load.WaitForHits(200)) << "round " << round;
    server.Pause();
    EXPECT_TRUE(load.WaitForErrors(3));
    server.Resume();
  }
  EXPECT_TRUE(load.WaitForHits(200));
  load.Stop();
  EXPECT_EQ(load.wrong, 0) << "of " << load.hits;
}

TEST_F(RedisFaults, PrimaryOfAClusterKilledUnderLoad) {
  RedisCluster cluster;
  const auto store = Open(cluster.client_options());
  Load load(*store);
  ASSERT_TRUE(load.WaitForHits(300));
  RedisServer& primary = cluster.PrimaryOf(RedisHeaderKey(MakeChunk(1)->key()));
  primary.Kill();
  // The slots of the dead primary come back on its replica.
  EXPECT_TRUE(PollUntil([&] { return store->Contains(MakeChunk(1)->key()).ok(); }));
  EXPECT_TRUE(load.WaitForHits(300));
  primary.Restart();
  EXPECT_TRUE(load.WaitForHits(300));
  load.Stop();
  EXPECT_EQ(load.wrong, 0) << "of " << load.hits;
}

TEST_F(RedisFaults, SlotMigratesUnderLoad) {
  RedisCluster cluster;
  const auto store = Open(cluster.client_options());
  Load load(*store);
  for (int32_t seed = 1; seed <= 4; ++seed) {
    ASSERT_TRUE(load.WaitForHits(100));
    ASSERT_TRUE(store->Put(MakeChunk(seed)).ok());
    cluster.MigrateSlotOf(RedisHeaderKey(MakeChunk(seed)->key()),
                          [&] { EXPECT_TRUE(load.WaitForHits(100)); });
  }
  EXPECT_TRUE(load.WaitForHits(100));
  load.Stop();
  EXPECT_EQ(load.wrong, 0) << "of " << load.hits;
  for (int32_t seed = 1; seed <= kSeeds; ++seed) {
    ASSERT_TRUE(store->Put(MakeChunk(seed)).ok()) << seed;
    EXPECT_TRUE(store->Get(MakeChunk(seed)->key()).ok()) << seed;
  }
}

TEST_F(RedisFaults, ServerAtItsMemoryLimitUnderLoad) {
  for (const std::string policy : {"volatile-lru", "noeviction"}) {
    RedisServer server({.settings = {"maxmemory 4mb", "maxmemory-policy " + policy}});
    const auto store = Open(server.client_options());
    Load load(*store);
    EXPECT_TRUE(load.WaitForHits(1000)) << policy;
    load.Stop();
    EXPECT_EQ(load.wrong, 0) << "of " << load.hits;
    EXPECT_EQ(store->stats().corrupt, 0);
  }
}

}  // namespace
}  // namespace cacheclip
