#include "common/engine/chunk_loader.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/tiered_harness.h"

namespace cacheclip {
namespace {

struct Fixture {
  TieredHarness tiers;
  PrefixContexts& contexts = tiers.harness.server.contexts;
  ChunkSource source{&contexts};
  ChunkLoader loader{&source, &tiers.clock};
  std::vector<ResolvedChunk> chunks;

  Fixture() {
    std::vector<ChunkInput> inputs;
    for (const std::string& id : tiers.harness.ids) inputs.push_back({.chunk_id = id});
    chunks = source.Resolve(contexts.Get("docs", "").value(), inputs, false).value();
  }
  std::vector<TierSet> AskAll() const { return std::vector<TierSet>(chunks.size()); }
  static void WaitForAll(ChunkLoads& loads) {
    ASSERT_TRUE(PollUntil([&] {
      loads.WaitForChange(absl::Milliseconds(1));
      const auto pending = loads.Pending();
      return std::ranges::none_of(pending, std::identity{});
    }));
  }
};

TEST(ChunkLoader, MemoryIsThereAtOnceAndTheRestFollows) {
  Fixture f;
  ASSERT_TRUE(f.tiers.memory->Put(f.tiers.redis->Get(f.chunks[1].key)->chunk).ok());
  const auto loads = f.loader.Start(f.chunks, absl::InfiniteFuture());
  std::vector<bool> expected(f.chunks.size(), true);
  expected[1] = false;
  EXPECT_EQ(loads->Pending(), expected);
  f.loader.Continue(loads, f.AskAll());
  Fixture::WaitForAll(*loads);
  const auto outcomes = loads->Finish();
  for (size_t i = 0; i < outcomes.size(); ++i) {
    ASSERT_TRUE(outcomes[i]->read.hit.has_value());
    EXPECT_EQ(outcomes[i]->read.hit->tier, i == 1 ? Tier::kMemory : Tier::kRedis);
  }
}

TEST(ChunkLoader, ReadsSideBySide) {
  Fixture f;
  f.tiers.redis->closed = true;
  const int before = f.tiers.redis->num_gets;
  const auto loads = f.loader.Start(f.chunks, absl::InfiniteFuture());
  f.loader.Continue(loads, f.AskAll());
  EXPECT_TRUE(PollUntil([&] {
    return f.tiers.redis->num_gets == before + static_cast<int>(f.chunks.size());
  })) << "every chunk is asked for although none has come";
  for (size_t i = 0; i < f.chunks.size(); ++i) EXPECT_EQ(loads->asking(i), Tier::kRedis);
  f.tiers.redis->closed = false;
  Fixture::WaitForAll(*loads);
}

TEST(ChunkLoader, TiersNotWorthAskingAreNotAsked) {
  Fixture f;
  const int before = f.tiers.redis->num_gets;
  const auto loads = f.loader.Start(f.chunks, absl::InfiniteFuture());
  std::vector<TierSet> avoid = f.AskAll();
  avoid[0].Add(Tier::kRedis);
  f.loader.Continue(loads, avoid);
  Fixture::WaitForAll(*loads);
  EXPECT_EQ(f.tiers.redis->num_gets, before + static_cast<int>(f.chunks.size()) - 1);
  EXPECT_EQ(loads->Finish()[0]->read.problem, ReadProblem::kMissing);
}

TEST(ChunkLoader, WhatComesAfterTheEndIsDroppedAndAbandoned) {
  Fixture f;
  f.tiers.redis->arriving = true;
  f.tiers.redis->closed = true;
  const int before = f.tiers.redis->num_gets;
  const auto loads = f.loader.Start(f.chunks, absl::InfiniteFuture());
  f.loader.Continue(loads, f.AskAll());
  ASSERT_TRUE(
      PollUntil([&] { return f.tiers.redis->num_gets == before + static_cast<int>(f.chunks.size()); }));
  for (const auto& outcome : loads->Finish()) EXPECT_FALSE(outcome.has_value());
  f.tiers.redis->closed = false;
  EXPECT_TRUE(PollUntil([&] {
    const auto arrivals = f.tiers.redis->arrivals();
    return arrivals.size() == f.chunks.size() &&
           std::ranges::all_of(arrivals, [](const auto& arrival) { return arrival->IsAbandoned(); });
  }));
}

}  // namespace
}  // namespace cacheclip
