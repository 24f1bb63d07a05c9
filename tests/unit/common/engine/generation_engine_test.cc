// What a request gets: methods, accounts, cancellation, admission. generation_faults_test.cc has what goes
// wrong.
#include "common/engine/generation_engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "common/base/status.h"
#include "common/engine/selector_engine.h"
#include "tests/support/generate_harness.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

TEST(GenerationEngine, AFullBudgetAnswersAsFullPrefillDoes) {
  GenerateHarness server;
  const auto full = server.Generate(Method::kFull);
  ASSERT_TRUE(full.ok()) << full.status();
  const auto all = server.Generate(Method::kPrimaryProbe, 1.0);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->token_ids, full->token_ids);
  EXPECT_EQ(full->usage.charged_budget, 1.0);
  EXPECT_EQ(full->usage.recomputed_tokens, full->usage.context_tokens);
  EXPECT_TRUE(full->usage.cached_tokens.empty());
}

TEST(GenerationEngine, EveryMethodRunsWithinItsBudgetTwiceTheSame) {
  GenerateHarness server;
  for (const MethodInfo& info : AllMethods()) {
    const double budget = info.method == Method::kKvDeviation ? 0.6 : 0.2;
    const auto result = server.Generate(info.method, budget);
    ASSERT_TRUE(result.ok()) << info.id << ": " << result.status();
    EXPECT_EQ(result->token_ids.size(), 8u) << info.id;
    EXPECT_NE(result->usage.method, Method::kAuto) << info.id;
    if (info.method != Method::kFull) {
      EXPECT_LE(result->usage.charged_budget, budget) << info.id;
    }
    EXPECT_EQ(server.Generate(info.method, budget)->token_ids, result->token_ids) << info.id;
  }
}

TEST(GenerationEngine, AnExactAnswerIsFullPrefills) {
  GenerateHarness server;
  GenerateRequest request = server.Request();
  request.options = {.quality = Quality::kExact, .max_new_tokens = 8, .ignore_end_of_sequence = true};
  const auto exact = server.Generate(request);
  ASSERT_TRUE(exact.ok()) << exact.status();
  EXPECT_EQ(exact->usage.method, Method::kFull);
  EXPECT_TRUE(exact->usage.fallbacks.empty()) << "as asked";
  EXPECT_EQ(exact->token_ids, server.Generate(Method::kFull)->token_ids);
}

TEST(GenerationEngine, TheOtherLevelsKeepTheBoundsOfTheirTable) {
  const QualityLevels levels{.fast = {.budget = 0.05}, .balanced = {.budget = 0.5, .coverage = 0.3}};
  GenerateHarness server(nullptr, {.quality_levels = levels});
  GenerateRequest request = server.Request();
  request.options = {.quality = Quality::kFast, .max_new_tokens = 8, .ignore_end_of_sequence = true};
  const auto fast = server.Generate(request);
  ASSERT_TRUE(fast.ok()) << fast.status();
  EXPECT_EQ(fast->usage.method, Method::kPrimaryProbe) << "auto without a selector";
  EXPECT_EQ(fast->token_ids, server.Generate(Method::kAuto, 0.05)->token_ids);
  request.options.quality = Quality::kBalanced;
  const auto balanced = server.Generate(request);
  ASSERT_TRUE(balanced.ok()) << balanced.status();
  EXPECT_LT(balanced->usage.recomputed_tokens, server.Generate(Method::kAuto, 0.5)->usage.recomputed_tokens);
  EXPECT_GT(balanced->usage.recomputed_tokens, 0);
}

TEST(GenerationEngine, CoverageEndsTheSelectionBeforeTheBudgetDoes) {
  GenerateHarness server;
  GenerateRequest request = server.Request(Method::kPrimaryProbe, 0.6);
  const int64_t all = server.Generate(request)->usage.recomputed_tokens;
  int64_t before = 0;
  for (const double coverage : {0.1, 0.4, 1.0}) {
    request.options.coverage = coverage;
    const auto result = server.Generate(request);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_GT(result->usage.recomputed_tokens, before) << coverage;
    EXPECT_LE(result->usage.charged_budget, 0.6);
    before = result->usage.recomputed_tokens;
  }
  EXPECT_EQ(before, all) << "1 spends the budget";
}

TEST(GenerationEngine, EstimatesNoDivergenceWhereNothingIsStale) {
  GenerateHarness server;
  EXPECT_EQ(server.Generate(Method::kFull)->usage.estimated_divergence, 0);
  EXPECT_EQ(server.Generate(Method::kPrimaryProbe, 1.0)->usage.estimated_divergence, 0);
  GenerateRequest single = server.Request(Method::kNone);
  single.chunks.resize(1);
  EXPECT_EQ(server.Generate(single)->usage.estimated_divergence, 0);
}

TEST(GenerationEngine, EstimatesTheDivergenceOfMethodsThatScoreAndOfNoOthers) {
  GenerateHarness server(nullptr, {.divergence_per_stale_mass = 0.5});
  const auto estimate = [&](Method method, double budget) {
    return server.Generate(method, budget)->usage.estimated_divergence;
  };
  const auto some = estimate(Method::kPrimaryProbe, 0.1), more = estimate(Method::kPrimaryProbe, 0.5);
  ASSERT_TRUE(some.has_value() && more.has_value());
  EXPECT_LT(*some, 0.5);
  EXPECT_LT(*more, *some) << "less is stale";
  for (const Method method : {Method::kNone, Method::kRandom, Method::kChunkHead, Method::kKvDeviation})
    EXPECT_FALSE(estimate(method, 0.6).has_value()) << MethodId(method);
  GenerateHarness twice(nullptr, {.divergence_per_stale_mass = 1});
  EXPECT_DOUBLE_EQ(twice.Generate(Method::kPrimaryProbe, 0.1)->usage.estimated_divergence.value(), 2 * *some);
}

TEST(GenerationEngine, AutoIsTheProbeWithoutASelectorAndThatIsNoFallback) {
  GenerateHarness server;
  const auto result = server.Generate(Method::kAuto);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.method, Method::kPrimaryProbe);
  EXPECT_TRUE(result->usage.fallbacks.empty());
}

TEST(GenerationEngine, TheAccountIsExact) {
  GenerateHarness server;
  GenerateRequest request = server.Request();
  request.chunks.push_back({.text = "A text that nobody has stored."});
  const auto result = server.Generate(request);
  ASSERT_TRUE(result.ok()) << result.status();
  const Usage& usage = result->usage;
  const auto context = server.server.contexts.Get("docs", "").value();
  const auto text_tokens =
      static_cast<int64_t>(context->TokenizeChunk(request.chunks.back().text, "")->ids.size());
  EXPECT_EQ(usage.reencoded_tokens, text_tokens);
  EXPECT_EQ(usage.cached_tokens.at(Tier::kMemory),
            server.server.prefix.num_tokens() + usage.context_tokens - text_tokens);
  EXPECT_EQ(usage.cached_tokens.size(), 1u);
  EXPECT_EQ(usage.recomputed_tokens, BudgetTokens(0.2, static_cast<int32_t>(usage.context_tokens)));
  EXPECT_DOUBLE_EQ(usage.charged_budget, static_cast<double>(usage.recomputed_tokens) / usage.context_tokens);
  EXPECT_EQ(usage.completion_tokens, 8);
  EXPECT_GT(usage.prompt_tokens, usage.context_tokens + server.server.prefix.num_tokens());
  EXPECT_TRUE(usage.fallbacks.empty());
  for (const Stage stage : kAllStages) EXPECT_TRUE(usage.stage_durations.contains(stage)) << StageName(stage);
  EXPECT_GT(usage.time_to_first_token, absl::ZeroDuration());
}

TEST(GenerationEngine, WritesTextsBackWhenAsked) {
  GenerateHarness server;
  GenerateRequest request = server.Request();
  request.chunks = {{.text = "A text that nobody has stored."}};
  request.options.write_back = true;
  EXPECT_GT(server.Generate(request)->usage.reencoded_tokens, 0);
  EXPECT_EQ(server.Generate(request)->usage.reencoded_tokens, 0);
}

TEST(GenerationEngine, AnswersWithoutChunks) {
  GenerateHarness server;
  GenerateRequest request = server.Request(Method::kAuto);
  request.chunks.clear();
  const auto result = server.Generate(request);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.charged_budget, 0);
}

// By hit, after a loss (encoded again for the request), as text that was never stored, and stored again.
TEST(GenerationEngine, Int8ChunksAnswerTheSameHoweverTheyCame) {
  GenerateHarness server(nullptr, {}, RealClock(), KvDtype::kInt8);
  for (const MethodInfo& info : AllMethods()) {
    GenerateRequest request = server.Request(info.method, 0.6);
    const auto hit = server.Generate(request);
    ASSERT_TRUE(hit.ok()) << info.id << ": " << hit.status();
    if (info.method == Method::kFull) continue;
    EXPECT_EQ(hit->usage.reencoded_tokens, 0) << info.id;
    for (const std::string& id : server.ids)
      ASSERT_TRUE(server.server.store.Delete(ChunkKey::FromHex(id).value()).ok());
    const auto again = server.Generate(request);
    ASSERT_TRUE(again.ok()) << info.id << ": " << again.status();
    EXPECT_EQ(again->usage.reencoded_tokens, again->usage.context_tokens) << info.id;
    EXPECT_EQ(again->token_ids, hit->token_ids) << info.id;
    EXPECT_EQ(server.Generate(request)->usage.reencoded_tokens, 0) << info.id << ": was put back";
  }
  GenerateRequest request = server.Request(Method::kPrimaryProbe, 0.6);
  const auto hit = server.Generate(request);
  const auto records = server.server.catalog.ResolveChunks("docs", server.ids).value();
  for (size_t i = 0; i < records.size(); ++i) {
    request.chunks[i] = {.text = records[i]->text, .title = records[i]->title};
    ASSERT_TRUE(server.server.store.Delete(ChunkKey::FromHex(server.ids[i]).value()).ok());
  }
  const auto by_text = server.Generate(request);
  ASSERT_TRUE(by_text.ok()) << by_text.status();
  EXPECT_EQ(by_text->usage.reencoded_tokens, by_text->usage.context_tokens);
  EXPECT_EQ(by_text->token_ids, hit->token_ids);
}

TEST(GenerationEngine, Int8AndOtherChunksNeverMeet) {
  GenerateHarness plain;
  GenerateHarness int8(nullptr, {}, RealClock(), KvDtype::kInt8);
  ASSERT_EQ(plain.ids.size(), int8.ids.size());
  for (size_t i = 0; i < plain.ids.size(); ++i) EXPECT_NE(plain.ids[i], int8.ids[i]);
  const auto stored = int8.server.store.Get(ChunkKey::FromHex(int8.ids[0]).value());
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->chunk->shape().dtype, KvDtype::kInt8);
  EXPECT_LT(stored->chunk->total_bytes(),
            plain.server.store.Get(ChunkKey::FromHex(plain.ids[0]).value())->chunk->total_bytes() / 2);
  const auto prefix = int8.server.contexts.Get("docs", "").value()->PrefixChunk(TaskPriority::kInteractive);
  EXPECT_EQ(prefix->chunk->shape().dtype, KvDtype::kFp32) << "the prefix stays as the model makes it";
}

// Full recompute leaves nothing of what int8 lost but the first chunk's and the rounding behind it.
TEST(GenerationEngine, AFullBudgetOverInt8ChunksAnswersAsFullPrefillDoes) {
  GenerateHarness server(nullptr, {}, RealClock(), KvDtype::kInt8);
  const auto full = server.Generate(Method::kFull);
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(server.Generate(Method::kPrimaryProbe, 1.0)->token_ids, full->token_ids);
}

TEST(GenerationEngine, OtherPrefixChunksAreServedAsStoredWhenAllowed) {
  GenerateHarness server;
  PrefixSpec spec{.system_prompt = "Be brief."};
  spec.template_time = absl::FromUnixSeconds(1);
  GenerateRequest request = server.Request(Method::kChunkHead, 0.5);
  request.prefix_id = server.server.contexts.Register("docs", spec, false)->prefix_id;
  const auto refused = server.Generate(request);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_EQ(FieldOf(refused.status()), "chunks[0].chunk_id");
  request.options.allow_other_prefix = true;
  const auto served = server.Generate(request);
  ASSERT_TRUE(served.ok()) << served.status();
  EXPECT_EQ(served->usage.reencoded_tokens, 0);
}

TEST(GenerationEngine, ADeletedDocumentIsNotFoundAtTheNextRequest) {
  GenerateHarness server;
  ASSERT_TRUE(server.Generate(Method::kNone).ok());
  ASSERT_TRUE(server.server.pipeline.Delete("docs", "arken").ok());
  const auto result = server.Generate(Method::kNone);
  EXPECT_TRUE(absl::IsNotFound(result.status())) << result.status();
  EXPECT_EQ(FieldOf(result.status()), "chunks[0].chunk_id");
}

TEST(GenerationEngine, AcceptsOnceAndStreamsEveryToken) {
  GenerateHarness server;
  int num_accepted = 0;
  std::string streamed;
  const auto result = server.engine.Generate(server.Request(), CancellationToken(),
                                             {.on_accepted = [&](const std::string&) { ++num_accepted; },
                                              .on_token =
                                                  [&](const TokenEvent& event) {
                                                    streamed += event.text;
                                                    return absl::OkStatus();
                                                  }});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(num_accepted, 1);
  EXPECT_EQ(streamed, result->text);
  EXPECT_EQ(result->finish_reason, FinishReason::kLength);
}

TEST(GenerationEngine, AbortEndsARequestWithWhatItHas) {
  GenerateHarness server;
  GenerateRequest request = server.Request();
  request.request_id = "mine";
  const auto result =
      server.engine.Generate(request, CancellationToken(),
                             {.on_token = [&](const TokenEvent&) { return server.engine.Abort("mine"); }});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(result->token_ids.size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(server.engine.Abort("mine")));
}

TEST(GenerationEngine, ADuplicateOfARunningIdIsRefused) {
  GenerateHarness server;
  GenerateRequest request = server.Request();
  request.request_id = "mine";
  absl::Status duplicate;
  const auto result =
      server.engine.Generate(request, CancellationToken(), {.on_token = [&](const TokenEvent&) {
                               if (duplicate.ok()) duplicate = server.Generate(request).status();
                               return absl::OkStatus();
                             }});
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(absl::IsAlreadyExists(duplicate)) << duplicate;
}

TEST(GenerationEngine, CancelledAtAnyStageItFreesEverything) {
  GenerateHarness server;
  ASSERT_TRUE(server.Generate(server.Request()).ok());  // the first request also measures the machine
  int num_checks = 0;
  const CancellationToken counting(absl::InfiniteFuture(), [&] { return ++num_checks < 0; });
  ASSERT_TRUE(server.engine.Generate(server.Request(), counting, {}).ok());
  const int total = num_checks;
  ASSERT_GT(total, 20);
  for (int stop = 1; stop <= total; ++stop) {
    num_checks = 0;
    const CancellationToken stopping(absl::InfiniteFuture(), [&] { return ++num_checks >= stop; });
    const auto result = server.engine.Generate(server.Request(), stopping, {});
    EXPECT_TRUE(absl::IsCancelled(result.status())) << "check " << stop << ": " << result.status();
    EXPECT_EQ(server.engine.load().kv_bytes_reserved, 0) << "check " << stop;
    EXPECT_EQ(server.engine.load().num_running, 0) << "check " << stop;
  }
  EXPECT_TRUE(server.Generate(Method::kPrimaryProbe).ok());
}

TEST(GenerationEngine, RequestsAtOnceAnswerAsTheyDoAlone) {
  GenerateHarness server;
  const auto alone = server.Generate(Method::kPrimaryProbe)->token_ids;
  std::vector<std::thread> threads;
  std::atomic<int> num_equal{0};
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { num_equal += server.Generate(Method::kPrimaryProbe)->token_ids == alone; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_equal, 4);
}

TEST(GenerationEngine, ReservesBytesAndShedsWhatDoesNotFit) {
  GenerateHarness server(nullptr, {.max_waiting_requests = 0, .max_running_requests = 1});
  absl::Status second;
  int64_t reserved = 0;
  const auto first =
      server.engine.Generate(server.Request(), CancellationToken(), {.on_token = [&](const TokenEvent&) {
                               reserved = server.engine.load().kv_bytes_reserved;
                               if (second.ok()) second = server.Generate(Method::kNone).status();
                               return absl::OkStatus();
                             }});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(reserved, InferenceSession::CacheBytes(*server.server.runtime.model,
                                                   static_cast<int32_t>(first->usage.prompt_tokens) + 8));
  EXPECT_TRUE(absl::IsResourceExhausted(second)) << second;
  EXPECT_NE(second.message().find("max_waiting_requests"), absl::string_view::npos) << second;
}

}  // namespace
}  // namespace cacheclip
