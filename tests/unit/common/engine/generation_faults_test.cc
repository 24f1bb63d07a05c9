// Requests while the selector, the store or the catalogue fails: the answer is that of a fault-free run, the
// usage says what happened.
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/engine/generation_engine.h"
#include "common/kv/chunk_key.h"
#include "tests/support/fake_selector.h"
#include "tests/support/generate_harness.h"

namespace cacheclip {
namespace {

std::vector<std::string> Reasons(const Usage& usage) {
  std::vector<std::string> reasons;
  for (const Fallback& fallback : usage.fallbacks) reasons.push_back(fallback.reason);
  return reasons;
}

void ExpectFallbackToProbe(TokenSelector* selector, const std::string& reason, Clock* clock = RealClock()) {
  GenerateHarness faulty(selector, {}, clock), sound;
  const auto expected = sound.Generate(Method::kPrimaryProbe);
  for (const Method method : {Method::kAuxiliary, Method::kAuxiliaryPaper}) {
    const auto result = faulty.Generate(method);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->usage.method, Method::kPrimaryProbe);
    EXPECT_EQ(Reasons(result->usage), std::vector<std::string>{reason});
    EXPECT_EQ(result->usage.fallbacks[0].component, "selector");
    EXPECT_EQ(result->token_ids, expected->token_ids);
    EXPECT_EQ(result->usage.recomputed_tokens, expected->usage.recomputed_tokens);
  }
}

TEST(GenerationFaults, WhereReuseDivergesEveryRequestIsPrefilledInFull) {
  GenerateHarness refusing(nullptr, {.reason_against_reuse = "KL 0.9, at most 0.1"}), sound;
  const auto expected = sound.Generate(Method::kFull);
  for (const Method method : {Method::kAuto, Method::kPrimaryProbe, Method::kNone}) {
    const auto result = refusing.Generate(method);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->usage.method, Method::kFull);
    EXPECT_EQ(Reasons(result->usage), std::vector<std::string>{"reuse_diverges"});
    EXPECT_EQ(result->token_ids, expected->token_ids);
  }
  EXPECT_TRUE(refusing.Generate(Method::kFull)->usage.fallbacks.empty()) << "as asked";
}

TEST(GenerationFaults, WithoutASelectorAuxiliaryFallsBack) {
  ExpectFallbackToProbe(nullptr, "selector_not_configured");
}

TEST(GenerationFaults, AnUnreachableSelectorFallsBack) {
  FakeSelector selector(
      [](const auto&, const auto&) { return absl::UnavailableError("connection refused"); });
  ExpectFallbackToProbe(&selector, "selector_unavailable");
}

TEST(GenerationFaults, ASelectorThatHangsIsLeftAtItsDeadline) {
  FakeClock clock;
  FakeSelector selector([&](const auto&, const CancellationToken& token) -> absl::StatusOr<SelectResult> {
    while (token.Check().ok()) clock.Advance(absl::Milliseconds(100));
    return token.Check();
  });
  ExpectFallbackToProbe(&selector, "selector_late", &clock);
}

TEST(GenerationFaults, NonsenseFromTheSelectorIsNotTrusted) {
  FakeSelector selector([](const SelectRequest& request, const auto&) {
    SelectResult result;
    for (const SelectChunk& chunk : request.chunks) result.num_context_tokens += chunk.num_tokens;
    result.indices = {0, 1, 2};  // the first chunk
    return result;
  });
  ExpectFallbackToProbe(&selector, "selector_bad_answer");
}

TEST(GenerationFaults, ACancelledRequestDoesNotFallBack) {
  CancellationToken cancellation;
  FakeSelector selector([&](const auto&, const auto&) {
    cancellation.Cancel();
    return absl::UnavailableError("gone");
  });
  GenerateHarness server(&selector);
  const auto result = server.engine.Generate(server.Request(Method::kAuxiliary), cancellation, {});
  EXPECT_TRUE(absl::IsCancelled(result.status())) << result.status();
}

TEST(GenerationFaults, TheSelectorLearnsWhatItNeeds) {
  FakeSelector selector([](const SelectRequest& request, const auto&) {
    EXPECT_EQ(request.namespace_name, "docs");
    EXPECT_EQ(request.primary_fingerprint, ToHex(TinyModel().model->fingerprint()));
    EXPECT_EQ(request.question, "Who keeps the bees?");
    EXPECT_EQ(request.budget, kDefaultBudget);
    EXPECT_EQ(request.coverage, 0.7);
    EXPECT_EQ(request.chunks.back().text, "A text.");
    EXPECT_EQ(request.chunks.back().chunk_id.size(), 64u);
    EXPECT_TRUE(request.chunks.front().text.empty());
    SelectResult result;
    for (const SelectChunk& chunk : request.chunks) result.num_context_tokens += chunk.num_tokens;
    result.indices = {result.num_context_tokens - 1};
    result.stale_mass_share = 0.25;
    return result;
  });
  GenerateHarness server(&selector, {.divergence_per_stale_mass = 0.4});
  GenerateRequest request = server.Request(Method::kAuto);
  request.chunks.push_back({.text = "A text."});
  request.options.coverage = 0.7;
  const auto result = server.Generate(request);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.method, Method::kAuxiliary);
  EXPECT_EQ(result->usage.recomputed_tokens, 1);
  EXPECT_DOUBLE_EQ(result->usage.estimated_divergence.value(), 0.25 * 0.4);
  EXPECT_EQ(selector.num_calls(), 1);
}

TEST(GenerationFaults, ADamagedChunkIsEncodedAgainAndTheAnswerIsTheSame) {
  GenerateHarness server;
  const auto expected = server.Generate(Method::kPrimaryProbe);
  const ChunkKey damaged = ChunkKey::FromHex(server.ids[1]).value();
  bool served_once = false;
  server.server.store.on_get = [&](const ChunkKey& key) -> std::optional<absl::StatusOr<StoreHit>> {
    if (key != damaged || std::exchange(served_once, true)) return std::nullopt;
    return absl::DataLossError("checksum of slice 0");
  };
  const auto result = server.Generate(Method::kPrimaryProbe);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->token_ids, expected->token_ids);
  EXPECT_EQ(Reasons(result->usage), std::vector<std::string>{"chunk_corrupt"});
  EXPECT_GT(result->usage.reencoded_tokens, 0);
  const auto healed = server.Generate(Method::kPrimaryProbe);
  EXPECT_TRUE(healed->usage.fallbacks.empty());
  EXPECT_EQ(healed->usage.reencoded_tokens, 0);
}

TEST(GenerationFaults, WithoutAStoreTheRequestIsStillAnsweredTheSame) {
  GenerateHarness server;
  const auto expected = server.Generate(Method::kPrimaryProbe);
  server.server.store.on_get = [](const ChunkKey&) { return absl::UnavailableError("store is down"); };
  server.server.store.on_put = [] { return absl::ResourceExhaustedError("disk full"); };
  const auto result = server.Generate(Method::kPrimaryProbe);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->token_ids, expected->token_ids);
  EXPECT_EQ(result->usage.fallbacks.size(), 2 * server.ids.size());
  EXPECT_EQ(result->usage.reencoded_tokens, result->usage.context_tokens);
}

TEST(GenerationFaults, WithoutTheCatalogueTextsAreAnsweredAndIdsAreUnavailable) {
  GenerateHarness server;
  ASSERT_TRUE(server.Generate(Method::kNone).ok());
  server.server.catalog.is_down = true;
  EXPECT_TRUE(absl::IsUnavailable(server.Generate(Method::kNone).status()));
  GenerateRequest request = server.Request(Method::kNone);
  request.chunks = {{.text = "A text."}};
  EXPECT_TRUE(server.Generate(request).ok());
}

TEST(GenerationFaults, ALateRequestIsToldSo) {
  FakeClock clock;
  GenerateHarness server(nullptr, {.default_deadline = absl::Seconds(5)}, &clock);
  const auto result =
      server.engine.Generate(server.Request(), CancellationToken(), {.on_token = [&](const TokenEvent&) {
                               clock.Advance(absl::Seconds(6));
                               return absl::OkStatus();
                             }});
  EXPECT_TRUE(absl::IsDeadlineExceeded(result.status())) << result.status();
}

TEST(GenerationFaults, BadRequestsNameTheField) {
  GenerateHarness server;
  GenerateRequest request = server.Request();
  request.options.budget = 2;
  EXPECT_EQ(FieldOf(server.Generate(request).status()), "options.budget");
  request = server.Request(Method::kKvDeviation, 0.05);
  EXPECT_EQ(FieldOf(server.Generate(request).status()), "options.budget");
  request = server.Request();
  request.chunks[1].chunk_id = std::string(64, '0');
  EXPECT_EQ(FieldOf(server.Generate(request).status()), "chunks[1].chunk_id");
  EXPECT_EQ(server.engine.load().num_running, 0);
}

}  // namespace
}  // namespace cacheclip
