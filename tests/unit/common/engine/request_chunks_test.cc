#include "common/engine/request_chunks.h"

#include <gtest/gtest.h>

#include "tests/support/tiered_harness.h"

namespace cacheclip {
namespace {

// A request whose costs the test decides.
struct Fixture {
  TieredHarness tiers;
  Runtime& runtime = tiers.harness.server.runtime;
  PrefixContexts& contexts = tiers.harness.server.contexts;
  ChunkSource source{&contexts};
  ChunkLoader loader{&source, &tiers.clock};
  ComputeSpeed compute_speed;
  BackgroundQueue put_backs{{}};
  LoadMachinery machinery{&loader, &compute_speed, std::make_shared<TierSpeed>(&tiers.clock), &put_backs};
  PreparedPrompt prompt;
  CancellationToken cancellation;

  Fixture() { prompt = PreparePrompt(contexts, source, tiers.harness.Request()).value(); }

  size_t num_chunks() const { return prompt.chunks.size(); }
  // Encoding all chunks takes as long as prefilling in full, and the selective pass a fifth of that.
  ComputeCosts Costs(absl::Duration full_prefill) const {
    return {.full_prefill = full_prefill,
            .selective_pass = full_prefill / 5,
            .encode = std::vector<absl::Duration>(num_chunks(), full_prefill / num_chunks())};
  }
  std::unique_ptr<RequestChunks> Open(ComputeCosts costs, PutBack put_back = PutBack::kIfById) {
    return std::make_unique<RequestChunks>(machinery, runtime, prompt, std::move(costs), put_back,
                                           cancellation);
  }
  Usage Report(RequestChunks& chunks) const {
    Usage usage;
    chunks.Report(usage);
    return usage;
  }
  // Moves time as soon as every chunk has been asked for.
  std::thread AdvanceWhenAsked(absl::Duration duration) {
    return std::thread([this, duration, goal = tiers.redis->num_gets + static_cast<int>(num_chunks())] {
      EXPECT_TRUE(PollUntil([&] { return tiers.redis->num_gets >= goal; }));
      tiers.clock.Advance(duration);
    });
  }
};

TEST(RequestChunks, WhatIsStoredIsLoaded) {
  Fixture f;
  const auto chunks = f.Open(f.Costs(absl::Seconds(10)));
  chunks->Start();
  EXPECT_TRUE(chunks->Collect().value());
  for (size_t i = 0; i < f.num_chunks(); ++i) EXPECT_EQ(chunks->kv()[i]->key(), f.prompt.chunks[i].key);
  EXPECT_FALSE(chunks->has_arrivals());
  const Usage usage = f.Report(*chunks);
  EXPECT_EQ(f.tiers.Decisions(usage, "load", "load_faster"), static_cast<int64_t>(f.num_chunks()));
  EXPECT_EQ(usage.cached_tokens.at(Tier::kRedis), f.prompt.tokens.context_size());
  EXPECT_GT(f.machinery.tier_speed->Estimate(Tier::kRedis).confidence, 0) << "it learned from that";
}

TEST(RequestChunks, AStalledTierMakesWayForFullPrefillWithinTheBound) {
  Fixture f;
  f.tiers.redis->closed = true;
  const auto chunks = f.Open(f.Costs(absl::Seconds(5)));
  std::thread time = f.AdvanceWhenAsked(absl::Milliseconds(551));  // 10 % and 50 ms over five seconds
  chunks->Start();
  EXPECT_FALSE(chunks->Collect().value());
  time.join();
  f.tiers.redis->closed = false;
  const Usage usage = f.Report(*chunks);
  EXPECT_EQ(f.tiers.Decisions(usage, "full_prefill", "late"), static_cast<int64_t>(f.num_chunks()));
  EXPECT_EQ(usage.fallbacks.back().reason, "full_prefill_faster");
  EXPECT_EQ(usage.fallbacks.back().component, "method");
  EXPECT_EQ(usage.reencoded_tokens, 0);
}

TEST(RequestChunks, WhatArrivedIsTimedWhenItArrivedAndNotWhenItIsTaken) {
  Fixture f;
  f.tiers.redis->arriving = true;
  const auto chunks = f.Open(f.Costs(absl::Seconds(5)));
  chunks->Start();
  EXPECT_TRUE(PollUntil([&] { return f.tiers.redis->arrivals().size() == f.num_chunks(); }));
  EXPECT_TRUE(PollUntil([&] { return chunks->SelectorPatience() > absl::Seconds(1); })) << "all are coming";
  f.tiers.clock.Advance(absl::Milliseconds(20));
  for (const auto& arrival : f.tiers.redis->arrivals()) arrival->Publish(arrival->num_layers());
  f.tiers.clock.Advance(absl::Seconds(3));  // the selector thinks
  EXPECT_TRUE(chunks->Collect().value());
  const TierEstimate estimate = f.machinery.tier_speed->Estimate(Tier::kRedis);
  EXPECT_GT(estimate.confidence, 0);
  EXPECT_LT(estimate.Predict(f.prompt.chunks[0].num_tokens()), absl::Milliseconds(100));
}

TEST(RequestChunks, ThePrefixIsLoadedBesideTheChunksUnderTheSameBound) {
  for (const bool is_stalled : {false, true}) {
    Fixture f;
    PrefixContexts restarted(f.runtime);  // knows no prefix KV yet
    f.prompt.prefix = restarted.Get("docs", "").value();
    f.compute_speed.Observe(PassKind::kEncode, 1e9, absl::Seconds(1));
    f.tiers.redis->closed = is_stalled;
    const int goal = f.tiers.redis->num_gets + static_cast<int>(f.num_chunks()) + 1;
    const auto chunks = f.Open(f.Costs(absl::Seconds(5)));
    std::thread time([&] {
      EXPECT_TRUE(PollUntil([&] { return f.tiers.redis->num_gets >= goal; })) << "all at once";
      if (is_stalled) f.tiers.clock.Advance(absl::Milliseconds(551));
    });
    chunks->Start();
    EXPECT_EQ(chunks->Collect().value(), !is_stalled);
    time.join();
    f.tiers.redis->closed = false;
    if (is_stalled) continue;
    ASSERT_NE(chunks->prefix_kv(), nullptr);
    EXPECT_EQ(chunks->prefix_kv()->key(), f.prompt.prefix->PrefixKey());
    EXPECT_EQ(f.prompt.prefix->kept_prefix(), chunks->prefix_kv());
    EXPECT_EQ(chunks->kv().size(), f.num_chunks());
    EXPECT_EQ(f.Report(*chunks).cached_tokens.at(Tier::kRedis),
              f.prompt.tokens.context_size() + f.prompt.tokens.prefix_size());
  }
}

TEST(RequestChunks, AMissingPrefixIsEncodedKeptAndPutBack) {
  Fixture f;
  PrefixContexts restarted(f.runtime);
  f.prompt.prefix = restarted.Get("docs", "").value();
  ASSERT_TRUE(f.tiers.redis->Delete(f.prompt.prefix->PrefixKey()).ok());
  const auto chunks = f.Open(f.Costs(absl::Seconds(5)));
  chunks->Start();
  EXPECT_TRUE(chunks->Collect().value());
  EXPECT_EQ(f.prompt.prefix->kept_prefix(), chunks->prefix_kv());
  const Usage usage = f.Report(*chunks);
  EXPECT_EQ(usage.reencoded_tokens, 0) << "it is no chunk";
  EXPECT_TRUE(f.tiers.redis->Holds(f.prompt.prefix->PrefixKey()));
}

TEST(RequestChunks, TheSelectorIsWaitedForWithinTheBoundWhileARemoteTierIs) {
  Fixture f;
  f.tiers.redis->closed = true;
  const auto chunks = f.Open(f.Costs(absl::Seconds(5)));
  const int goal = f.tiers.redis->num_gets + static_cast<int>(f.num_chunks());
  chunks->Start();
  EXPECT_TRUE(PollUntil([&] { return f.tiers.redis->num_gets >= goal; }));
  EXPECT_EQ(chunks->SelectorPatience(), absl::Milliseconds(275)) << "half of 10 % and 50 ms";
  f.tiers.clock.Advance(absl::Milliseconds(225));
  EXPECT_EQ(chunks->SelectorPatience(), absl::Milliseconds(50));
  f.tiers.redis->closed = false;
  EXPECT_TRUE(PollUntil([&] { return chunks->SelectorPatience() == absl::Milliseconds(3950); }))
      << "with all chunks here only the selective pass is still to come";
}

TEST(RequestChunks, WhatCouldNotBeReadLeavesNoMoreTimeForTheRest) {
  Fixture f;
  for (size_t i = 1; i < f.num_chunks(); ++i) ASSERT_TRUE(f.tiers.redis->Delete(f.prompt.chunks[i].key).ok());
  f.tiers.redis->closed = true;
  const auto chunks = f.Open(f.Costs(absl::Seconds(5)));
  const int goal = f.tiers.redis->num_gets + static_cast<int>(f.num_chunks());
  chunks->Start();
  EXPECT_TRUE(PollUntil([&] { return f.tiers.redis->num_gets >= goal; }));
  EXPECT_EQ(chunks->SelectorPatience(), absl::Milliseconds(275)) << "all have to be encoded";
  f.tiers.redis->closed = false;
}

TEST(RequestChunks, AReadOfWhichAPartCameTooLateWasLate) {
  Fixture f;
  f.tiers.redis->arriving = true;
  auto chunks = f.Open(f.Costs(absl::Seconds(50)));
  chunks->Start();
  ASSERT_TRUE(chunks->Collect().value());
  int64_t late_bytes = 0;
  for (size_t i = 1; i < f.num_chunks(); ++i) late_bytes += chunks->kv()[i]->total_bytes();
  chunks->arrivals()[0]->Publish(chunks->arrivals()[0]->num_layers());  // the first comes at once
  f.tiers.clock.Advance(absl::Seconds(3));
  ASSERT_TRUE(chunks->Repair().ok());
  chunks = nullptr;
  TierSpeed late(&f.tiers.clock);
  late.ObserveLate(Tier::kRedis, late_bytes, absl::Seconds(3));
  EXPECT_EQ(f.machinery.tier_speed->Estimate(Tier::kRedis).Predict(late_bytes),
            late.Estimate(Tier::kRedis).Predict(late_bytes));
}

TEST(RequestChunks, AfterAStallTheTierIsNotAskedForAWhile) {
  Fixture f;
  f.machinery.tier_speed->ObserveLate(Tier::kRedis, 100'000, absl::Seconds(5));
  const int before = f.tiers.redis->num_gets;
  const auto chunks = f.Open(f.Costs(absl::Seconds(5)));
  chunks->Start();
  EXPECT_FALSE(chunks->Collect().value());
  EXPECT_EQ(f.tiers.redis->num_gets, before);
  EXPECT_EQ(f.tiers.Decisions(f.Report(*chunks), "full_prefill", "slow_tier"),
            static_cast<int64_t>(f.num_chunks()));
  f.tiers.clock.Advance(absl::Minutes(5));
  const auto later = f.Open(f.Costs(absl::Seconds(5)));
  later->Start();
  EXPECT_TRUE(later->Collect().value());
  EXPECT_GT(f.tiers.redis->num_gets, before) << "tried again";
}

TEST(RequestChunks, MissesAreEncodedWhateverItTakesBecauseTheyAreKept) {
  Fixture f;
  for (const ResolvedChunk& chunk : f.prompt.chunks) ASSERT_TRUE(f.tiers.redis->Delete(chunk.key).ok());
  const auto chunks = f.Open(f.Costs(absl::Seconds(50)));
  chunks->Start();
  EXPECT_TRUE(chunks->Collect().value());
  const Usage usage = f.Report(*chunks);
  EXPECT_EQ(f.tiers.Decisions(usage, "encode", "missing"), static_cast<int64_t>(f.num_chunks()));
  EXPECT_EQ(usage.reencoded_tokens, f.prompt.tokens.context_size());
  for (const ResolvedChunk& chunk : f.prompt.chunks) EXPECT_TRUE(f.tiers.redis->Holds(chunk.key));
}

TEST(RequestChunks, AWriteThatFailsIsReported) {
  Fixture f;
  ASSERT_TRUE(f.tiers.redis->Delete(f.prompt.chunks[0].key).ok());
  f.tiers.redis->FailPutsWith(absl::ResourceExhaustedError("OOM"));
  const auto chunks = f.Open(f.Costs(absl::Seconds(5)));
  chunks->Start();
  EXPECT_TRUE(chunks->Collect().value());
  EXPECT_EQ(f.tiers.Reasons(f.Report(*chunks)), (std::vector<std::string>{"chunk_missing", "write_failed"}));
}

TEST(RequestChunks, AnArrivalThatFailsIsRepaired) {
  Fixture f;
  f.tiers.redis->arriving = true;
  const auto chunks = f.Open(f.Costs(absl::Seconds(50)));
  chunks->Start();
  EXPECT_TRUE(chunks->Collect().value());
  ASSERT_TRUE(chunks->has_arrivals());
  chunks->arrivals()[0]->Fail(absl::UnavailableError("connection reset"));
  for (size_t i = 1; i < f.num_chunks(); ++i)
    chunks->arrivals()[i]->Publish(chunks->arrivals()[i]->num_layers());
  EXPECT_TRUE(chunks->Repair().value());
  EXPECT_FALSE(chunks->has_arrivals());
  EXPECT_EQ(chunks->kv()[0]->key(), f.prompt.chunks[0].key);
  const Usage usage = f.Report(*chunks);
  EXPECT_EQ(f.tiers.Decisions(usage, "encode", "unavailable"), 1);
  EXPECT_EQ(f.tiers.Decisions(usage, "load", "load_faster"), static_cast<int64_t>(f.num_chunks()) - 1);
}

TEST(RequestChunks, LayersMayTakeLongerTheMoreHasArrived) {
  Fixture f;
  f.tiers.redis->arriving = true;
  const auto chunks = f.Open(f.Costs(absl::Seconds(5)));
  const absl::Time begin = f.tiers.clock.Now();
  chunks->Start();
  ASSERT_TRUE(chunks->Collect().value());
  EXPECT_EQ(chunks->LayerDeadline(), begin + absl::Milliseconds(275));
  for (size_t i = 1; i < f.num_chunks(); ++i)
    chunks->arrivals()[i]->Publish(chunks->arrivals()[i]->num_layers());
  EXPECT_GT(chunks->LayerDeadline(), begin + absl::Milliseconds(800));
  chunks->arrivals()[0]->Publish(1);
}

}  // namespace
}  // namespace cacheclip
