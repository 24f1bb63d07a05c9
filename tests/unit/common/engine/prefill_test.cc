#include "common/engine/prefill.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <cmath>

#include "common/engine/prompt_builder.h"
#include "tests/support/engine_harness.h"

namespace cacheclip {
namespace {

struct Fixture {
  EngineHarness server;
  ChunkSource source{&server.contexts};
  PreparedPrompt prompt;
  std::vector<std::shared_ptr<const EncodedChunk>> chunks;

  Fixture() {
    GenerateRequest request{.namespace_name = "docs", .messages = {{"user", "Who keeps the bees?"}}};
    for (const std::string& id : server.IngestChunkIds()) request.chunks.push_back({.chunk_id = id});
    prompt = PreparePrompt(server.contexts, source, request).value();
    for (const ResolvedChunk& chunk : prompt.chunks)
      chunks.push_back(source.Load(chunk, PutBack::kNever, TaskPriority::kInteractive, CancellationToken())
                           .value()
                           .hit.chunk);
  }

  absl::StatusOr<PrefillOutput> Run(Method method, double budget,
                                    const CancellationToken& cancellation = CancellationToken(),
                                    Grouping grouping = Grouping::kBudgetExactWindows,
                                    double stale_weight = 1, double stale_shift = 0) {
    const RecomputePlan plan = PlanRecompute({.method = method,
                                              .context = prompt.tokens.context_map(),
                                              .num_layers = server.runtime.model->num_layers(),
                                              .selection = {.budget = budget,
                                                            .grouping = grouping,
                                                            .stale_weight = stale_weight,
                                                            .stale_shift = stale_shift}})
                                   .value();
    const PrefillInput input{.model = server.runtime.model,
                             .prompt = prompt.tokens,
                             .plan = plan,
                             .prefix = prompt.prefix->PrefixChunk(TaskPriority::kInteractive).value().chunk,
                             .chunks = chunks,
                             .capacity = prompt.capacity,
                             .sentences = server.runtime.sentences.get()};
    absl::StatusOr<PrefillOutput> output = absl::InternalError("not run");
    server.executor.Run(TaskPriority::kInteractive,
                        [&] { output = Prefill(input, *server.runtime.clock, cancellation); });
    return output;
  }
};

double MaxDifference(const Logits& a, const Logits& b) {
  double difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = std::max<double>(difference, std::abs(a[i] - b[i]));
  return difference;
}

TEST(Prefill, RecomputingEverythingEqualsFullPrefill) {
  Fixture f;
  const auto full = f.Run(Method::kFull, 0.2);
  ASSERT_TRUE(full.ok()) << full.status();
  for (const Method method : {Method::kPrimaryProbe, Method::kChunkHead}) {
    const auto all = f.Run(method, 1.0);
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(static_cast<int32_t>(all->recomputed_indices.size()), f.prompt.tokens.context_size());
    EXPECT_LT(MaxDifference(full->logits, all->logits), 1e-3) << MethodId(method);
  }
}

TEST(Prefill, RecomputesWholeSentencesWhereAsked) {
  Fixture f;
  const auto output = f.Run(Method::kPrimaryProbe, 0.4, CancellationToken(), Grouping::kSegments);
  ASSERT_TRUE(output.ok()) << output.status();
  const std::vector<int32_t>& chosen = output->recomputed_indices;
  std::vector<int32_t> begins = f.server.runtime.sentences->Begins(f.prompt.tokens.chunk_ids);
  begins.push_back(f.prompt.tokens.context_size());
  int num_whole = 0, num_cut = 0;
  for (size_t i = 0; i + 1 < begins.size(); ++i) {
    const auto count = std::ranges::count_if(
        chosen, [&](int32_t index) { return index >= begins[i] && index < begins[i + 1]; });
    num_whole += count == begins[i + 1] - begins[i] ? 1 : 0;
    num_cut += count > 0 && count < begins[i + 1] - begins[i] ? 1 : 0;
  }
  EXPECT_GT(num_whole, 0);
  EXPECT_LE(num_cut, 1) << "only the last one that is taken";
}

TEST(Prefill, WithoutRecomputeTheStoredKvDecides) {
  Fixture f;
  const auto none = f.Run(Method::kNone, 0.2);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->recomputed_indices.empty());
  EXPECT_GT(MaxDifference(f.Run(Method::kFull, 0.2)->logits, none->logits), 1e-3);
}

TEST(Prefill, ProbeAndDeviationChooseWithinTheBudget) {
  Fixture f;
  const int32_t num_tokens = f.prompt.tokens.context_size();
  const auto probe = f.Run(Method::kPrimaryProbe, 0.2);
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(static_cast<int32_t>(probe->recomputed_indices.size()), BudgetTokens(0.2, num_tokens));
  const auto deviation = f.Run(Method::kKvDeviation, 0.6);
  ASSERT_TRUE(deviation.ok()) << deviation.status();
  EXPECT_FALSE(deviation->recomputed_indices.empty());
  EXPECT_GE(deviation->recomputed_indices.front(), f.prompt.tokens.context_map().chunk_lengths[0]);
}

TEST(Prefill, SaysHowMuchAttentionStaysOnStaleTokensWhereItScored) {
  Fixture f;
  const auto share = [&](Method method, double budget) { return f.Run(method, budget)->stale_mass_share; };
  const auto some = share(Method::kPrimaryProbe, 0.1), more = share(Method::kPrimaryProbe, 0.4);
  ASSERT_TRUE(some.has_value());
  ASSERT_TRUE(more.has_value());
  EXPECT_LT(*some, 1);
  EXPECT_LT(*more, *some);
  EXPECT_GT(*more, 0);
  for (const Method method : {Method::kNone, Method::kRandom, Method::kChunkHead, Method::kKvDeviation})
    EXPECT_FALSE(share(method, 0.6).has_value()) << MethodId(method);
}

TEST(Prefill, ListensLessToStaleTokensWhereTheTokensWereScored) {
  Fixture f;
  const auto logits = [&](Method method, double budget, double stale_weight) {
    return f.Run(method, budget, CancellationToken(), Grouping::kBudgetExactWindows, stale_weight)->logits;
  };
  EXPECT_GT(MaxDifference(logits(Method::kPrimaryProbe, 0.2, 1), logits(Method::kPrimaryProbe, 0.2, 0.3)),
            1e-3);
  EXPECT_EQ(logits(Method::kChunkHead, 0.2, 1), logits(Method::kChunkHead, 0.2, 0.3));
  EXPECT_LT(MaxDifference(logits(Method::kFull, 0.2, 1), logits(Method::kPrimaryProbe, 1.0, 0.3)), 1e-3)
      << "nothing is stale";
}

TEST(Prefill, MovesStaleTokensWhereOthersWereScoredAndRecomputed) {
  Fixture f;
  const auto logits = [&](Method method, double budget, double stale_shift) {
    return f.Run(method, budget, CancellationToken(), Grouping::kBudgetExactWindows, 1, stale_shift)->logits;
  };
  EXPECT_GT(MaxDifference(logits(Method::kPrimaryProbe, 0.2, 0), logits(Method::kPrimaryProbe, 0.2, 0.8)),
            1e-3);
  EXPECT_EQ(logits(Method::kChunkHead, 0.2, 0), logits(Method::kChunkHead, 0.2, 0.8));
  EXPECT_EQ(logits(Method::kPrimaryProbe, 0, 0), logits(Method::kPrimaryProbe, 0, 0.8))
      << "nothing to learn from";
  EXPECT_LT(MaxDifference(logits(Method::kFull, 0.2, 0), logits(Method::kPrimaryProbe, 1.0, 0.8)), 1e-3)
      << "nothing is stale";
}

TEST(Prefill, CancelledItStopsBeforeTheModelRuns) {
  Fixture f;
  CancellationToken cancellation;
  cancellation.Cancel();
  EXPECT_TRUE(absl::IsCancelled(f.Run(Method::kPrimaryProbe, 0.2, cancellation).status()));
}

TEST(Prefill, CancelledMidwayItStopsAtALayer) {
  Fixture f;
  for (const Method method : {Method::kFull, Method::kPrimaryProbe, Method::kKvDeviation}) {
    int num_checks = 0;
    const CancellationToken counting(absl::InfiniteFuture(), [&] { return ++num_checks < 0; });
    ASSERT_TRUE(f.Run(method, 0.6, counting).ok());
    const int total = num_checks;
    ASSERT_GT(total, f.server.runtime.model->num_layers()) << MethodId(method);
    for (int stop = 1; stop <= total; ++stop) {
      num_checks = 0;
      const CancellationToken stopping(absl::InfiniteFuture(), [&] { return ++num_checks == stop; });
      EXPECT_TRUE(absl::IsCancelled(f.Run(method, 0.6, stopping).status()))
          << MethodId(method) << " at " << stop;
    }
  }
}

}  // namespace
}  // namespace cacheclip
