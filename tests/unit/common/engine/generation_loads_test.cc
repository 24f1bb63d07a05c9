// Requests over stacks of tiers: the answer is the same whichever tier serves, and whatever goes wrong there.
#include <gtest/gtest.h>

#include "tests/support/fake_selector.h"
#include "tests/support/tiered_harness.h"

namespace cacheclip {
namespace {

struct Case {
  Method method;
  double budget;
};
constexpr Case kCases[] = {{Method::kNone, 0.2},
                           {Method::kPrimaryProbe, 0.2},
                           {Method::kChunkHead, 0.2},
                           {Method::kKvDeviation, 0.6}};

int64_t NumChunks(const TieredHarness& tiers) { return static_cast<int64_t>(tiers.harness.ids.size()); }

TEST(GenerationLoads, TheAnswerIsTheSameWhicheverTierServes) {
  for (const auto& [method, budget] : kCases) {
    GenerateHarness plain;
    const auto expected = plain.Generate(method, budget);
    ASSERT_TRUE(expected.ok()) << expected.status();
    TieredHarness tiers;
    const auto remote = tiers.harness.Generate(method, budget);
    ASSERT_TRUE(remote.ok()) << remote.status();
    EXPECT_EQ(remote->token_ids, expected->token_ids) << MethodId(method);
    EXPECT_TRUE(remote->usage.fallbacks.empty());
    EXPECT_EQ(remote->usage.cached_tokens.at(Tier::kRedis), expected->usage.context_tokens);
    EXPECT_EQ(tiers.Decisions(remote->usage, "load", "unmeasured"), NumChunks(tiers));
    tiers.stack->WaitUntilIdle();
    const auto memory = tiers.harness.Generate(method, budget);
    EXPECT_EQ(memory->token_ids, expected->token_ids) << MethodId(method);
    EXPECT_EQ(tiers.Decisions(memory->usage, "load", "in_memory"), NumChunks(tiers));
  }
}

TEST(GenerationLoads, LayersAreUsedAsTheyArrive) {
  for (const auto& [method, budget] : kCases) {
    GenerateHarness plain;
    const auto expected = plain.Generate(method, budget);
    TieredHarness tiers;
    tiers.redis->arriving = true;
    std::map<size_t, int> published;
    const ArrivalDriver driver(tiers.redis.get(), [&](size_t i, ChunkArrival& arrival) {
      arrival.Publish(std::min(++published[i], arrival.num_layers()));
    });
    const auto result = tiers.harness.Generate(method, budget);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->token_ids, expected->token_ids) << MethodId(method);
    EXPECT_TRUE(result->usage.fallbacks.empty());
    EXPECT_EQ(result->usage.cached_tokens.at(Tier::kRedis), expected->usage.context_tokens);
  }
}

TEST(GenerationLoads, ALayerThatFailsMidwayRestartsThePass) {
  for (const auto& [method, budget] : kCases) {
    GenerateHarness plain;
    const auto expected = plain.Generate(method, budget);
    for (int last = 0; last < plain.server.runtime.model->num_layers(); ++last) {
      TieredHarness tiers;
      tiers.redis->arriving = true;
      const ArrivalDriver driver(tiers.redis.get(), [&](size_t i, ChunkArrival& arrival) {
        arrival.Publish(i == 1 ? last : arrival.num_layers());
        if (i == 1) arrival.Fail(absl::DataLossError("checksum of slice 7"));
      });
      const auto result = tiers.harness.Generate(method, budget);
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(result->token_ids, expected->token_ids) << MethodId(method) << " at layer " << last;
      EXPECT_EQ(tiers.Reasons(result->usage), std::vector<std::string>{"chunk_corrupt"});
      EXPECT_EQ(tiers.Decisions(result->usage, "encode", "damaged"), 1);
      EXPECT_GT(result->usage.reencoded_tokens, 0);
    }
  }
}

TEST(GenerationLoads, LateLayersAreAbandonedAndEncoded) {
  for (const auto& [method, budget] : kCases) {
    GenerateHarness plain;
    const auto expected = plain.Generate(method, budget);
    TieredHarness tiers;
    tiers.redis->arriving = true;
    bool has_advanced = false;
    const ArrivalDriver driver(tiers.redis.get(), [&](size_t i, ChunkArrival& arrival) {
      arrival.Publish(i == 0 ? 1 : arrival.num_layers());
      const bool all_asked = static_cast<int64_t>(tiers.redis->arrivals().size()) == NumChunks(tiers);
      if (all_asked && !std::exchange(has_advanced, true)) tiers.clock.Advance(absl::Seconds(11));
    });
    const auto result = tiers.harness.Generate(method, budget);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->token_ids, expected->token_ids) << MethodId(method);
    ASSERT_FALSE(result->usage.fallbacks.empty());
    for (const std::string& reason : tiers.Reasons(result->usage)) EXPECT_EQ(reason, "load_late");
    EXPECT_GE(tiers.Decisions(result->usage, "encode", "late"), 1);
    EXPECT_TRUE(PollUntil([&] { return tiers.redis->arrivals()[0]->IsAbandoned(); })) << "the tier may stop";
  }
}

TEST(GenerationLoads, AGetThatNeverReturnsIsLeftBehind) {
  GenerateHarness plain;
  const auto expected = plain.Generate(Method::kPrimaryProbe);
  TieredHarness tiers;
  ASSERT_TRUE(tiers.harness.Generate(Method::kPrimaryProbe).ok());  // the prefix is known from here on
  for (const std::string& id : tiers.harness.ids)
    ASSERT_TRUE(tiers.memory->Delete(ChunkKey::FromHex(id).value()).ok());
  const int64_t num_gets = tiers.redis->num_gets;
  tiers.redis->closed = true;
  std::thread time([&] {
    EXPECT_TRUE(PollUntil([&] { return tiers.redis->num_gets == num_gets + NumChunks(tiers); }));
    tiers.clock.Advance(absl::Seconds(11));
  });
  const auto result = tiers.harness.Generate(Method::kPrimaryProbe);
  time.join();
  tiers.redis->closed = false;
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->token_ids, expected->token_ids);
  EXPECT_EQ(tiers.Decisions(result->usage, "encode", "late"), NumChunks(tiers));
}

TEST(GenerationLoads, TheFirstRequestOfAProcessIsNotHeldByItsPrefixEither) {
  GenerateHarness plain;
  const auto expected = plain.Generate(Method::kPrimaryProbe);
  TieredHarness tiers;
  PrefixContexts restarted(tiers.harness.server.runtime);
  GenerationEngine engine(&restarted, nullptr, {});
  const int64_t num_gets = tiers.redis->num_gets;
  tiers.redis->closed = true;
  std::thread time([&] {
    EXPECT_TRUE(PollUntil([&] { return tiers.redis->num_gets == num_gets + NumChunks(tiers) + 1; }));
    tiers.clock.Advance(absl::Seconds(11));
  });
  const auto result = engine.Generate(tiers.harness.Request(), CancellationToken(), {});
  time.join();
  tiers.redis->closed = false;
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->token_ids, expected->token_ids);
  EXPECT_EQ(tiers.Decisions(result->usage, "encode", "late"), NumChunks(tiers));
}

TEST(GenerationLoads, ADownTierCostsEncodingOnly) {
  GenerateHarness plain;
  const auto expected = plain.Generate(Method::kPrimaryProbe);
  TieredHarness tiers;
  tiers.redis->FailWith(absl::UnavailableError("connection refused"));
  const auto result = tiers.harness.Generate(Method::kPrimaryProbe);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->token_ids, expected->token_ids);
  EXPECT_EQ(tiers.Decisions(result->usage, "encode", "unavailable"), NumChunks(tiers));
  EXPECT_EQ(result->usage.reencoded_tokens, result->usage.context_tokens);
  const auto again = tiers.harness.Generate(Method::kPrimaryProbe);
  EXPECT_EQ(again->usage.reencoded_tokens, 0) << "memory has them now, although the remote tier is down";
}

TEST(GenerationLoads, TheSelectorWorksWhileChunksComeIn) {
  TieredHarness* at = nullptr;
  FakeSelector selector([&](const SelectRequest& request, const auto&) {
    EXPECT_TRUE(PollUntil([&] { return at->redis->arrivals().size() == request.chunks.size(); }));
    for (const auto& arrival : at->redis->arrivals()) arrival->Publish(arrival->num_layers());
    SelectResult result;
    for (const SelectChunk& chunk : request.chunks) result.num_context_tokens += chunk.num_tokens;
    result.indices = {result.num_context_tokens - 1};
    return result;
  });
  TieredHarness tiers(&selector);
  at = &tiers;
  ASSERT_TRUE(
      tiers.harness.server.contexts.Get("docs", "").value()->PrefixChunk(TaskPriority::kInteractive).ok());
  tiers.redis->arriving = true;
  const auto result = tiers.harness.Generate(Method::kAuxiliary);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.method, Method::kAuxiliary);
  EXPECT_TRUE(result->usage.fallbacks.empty());
}

TEST(GenerationLoads, ACancelledRequestTellsTheTierThatNobodyWaits) {
  TieredHarness tiers;
  tiers.redis->arriving = true;
  CancellationToken cancellation;
  std::thread canceller([&] {
    EXPECT_TRUE(PollUntil([&] { return !tiers.redis->arrivals().empty(); }));
    cancellation.Cancel();
  });
  const auto result = tiers.harness.engine.Generate(tiers.harness.Request(Method::kNone), cancellation, {});
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(result.status())) << result.status();
  EXPECT_TRUE(PollUntil([&] { return tiers.redis->arrivals()[0]->IsAbandoned(); }));
  EXPECT_EQ(tiers.harness.engine.load().num_running, 0);
}

}  // namespace
}  // namespace cacheclip
