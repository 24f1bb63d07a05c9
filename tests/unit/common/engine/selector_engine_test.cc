#include "common/engine/selector_engine.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/engine/planner.h"
#include "common/model/chunk_encoder.h"
#include "common/model/scoring/scoring.h"
#include "common/store/memory_chunk_store.h"
#include "common/store/tiered_chunk_store.h"
#include "common/text/token_alignment.h"
#include "tests/support/auxiliary_model.h"
#include "tests/support/generate_harness.h"

namespace cacheclip {
namespace {

// A server and a selector beside it, of one of the kinds of auxiliary.
struct Fixture {
  explicit Fixture(const LoadedModel& auxiliary_model, std::optional<KvDtype> kv_dtype = {})
      : server(TinyModel(), RealClock(), kv_dtype),
        runtime(AuxiliaryRuntime(server, auxiliary_model)),
        auxiliary(runtime),
        is_primary(auxiliary_model.model->fingerprint() == TinyModel().model->fingerprint()),
        selector(is_primary ? &auxiliary : &server.contexts, &auxiliary, {}),
        engine(&server.contexts, &selector, {}) {
    request = {.namespace_name = "docs",
               .prefix_id = server.prefix.prefix_id,
               .primary_fingerprint = server.prefix.model_fingerprint,
               .question = "Who keeps the bees?"};
    chunks = server.Ingest().chunks;
    for (const ChunkRecord& chunk : chunks) {
      request.chunks.push_back({.chunk_id = chunk.chunk_id, .num_tokens = chunk.num_tokens});
      context.chunk_lengths.push_back(chunk.num_tokens);
    }
  }

  EngineHarness server;
  Runtime runtime;
  PrefixContexts auxiliary;
  bool is_primary;
  SelectorEngine selector;
  GenerationEngine engine;
  std::vector<ChunkRecord> chunks;
  SelectRequest request;
  ContextMap context;
};

const LoadedModel& Truncated() { return TinyModel("", 3); }
const LoadedModel& SameTokenizer() { return TinyModel("auxiliary"); }

TEST(SelectorEngine, EveryKindOfAuxiliaryAnswersWithinTheBudgetTwiceTheSame) {
  for (const LoadedModel* auxiliary :
       {&Truncated(), &SameTokenizer(), &ByteTokenModel(), &SentencePieceModel(), &WordPieceModel()}) {
    Fixture f(*auxiliary);
    EXPECT_EQ(f.selector.is_truncated_primary(), auxiliary == &Truncated());
    for (const Method method : {Method::kAuxiliary, Method::kAuxiliaryPaper}) {
      f.request.method = method;
      const auto result = f.selector.Select(f.request, CancellationToken());
      ASSERT_TRUE(result.ok()) << MethodId(method) << ": " << result.status();
      const SelectionOptions selection{.budget = f.request.budget};
      EXPECT_TRUE(CheckSelected(f.context, selection, result->num_context_tokens, result->indices).ok());
      if (method == Method::kAuxiliary) {
        EXPECT_EQ(static_cast<int32_t>(result->indices.size()),
                  BudgetTokens(f.request.budget, f.context.num_tokens()));
      }
      EXPECT_EQ(f.selector.Select(f.request, CancellationToken())->indices, result->indices);
    }
  }
}

TEST(SelectorEngine, GenerationUsesItWithoutFallback) {
  for (const LoadedModel* auxiliary : {&Truncated(), &ByteTokenModel()}) {
    Fixture f(*auxiliary);
    GenerateRequest request{.namespace_name = "docs", .messages = {{"user", "Who keeps the bees?"}}};
    for (const SelectChunk& chunk : f.request.chunks) request.chunks.push_back({.chunk_id = chunk.chunk_id});
    request.chunks.push_back({.text = "A text that nobody has stored."});
    request.options = {.max_new_tokens = 4, .ignore_end_of_sequence = true};
    const auto result = f.engine.Generate(request, CancellationToken(), {});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->usage.method, Method::kAuxiliary);
    EXPECT_TRUE(result->usage.fallbacks.empty()) << result->usage.fallbacks[0].detail;
    EXPECT_LE(result->usage.charged_budget, kDefaultBudget);
  }
}

TEST(SelectorEngine, SpendsLessWhereLessOfTheScoreIsToBeHeld) {
  for (const LoadedModel* auxiliary : {&Truncated(), &ByteTokenModel()}) {
    Fixture f(*auxiliary);
    f.request.budget = 0.6;
    const size_t all = f.selector.Select(f.request, CancellationToken())->indices.size();
    const std::optional<double> left = f.selector.Select(f.request, CancellationToken())->stale_mass_share;
    f.request.coverage = 0.2;
    const auto some = f.selector.Select(f.request, CancellationToken());
    ASSERT_TRUE(some.ok()) << some.status();
    EXPECT_LT(some->indices.size(), all);
    EXPECT_FALSE(some->indices.empty());
    ASSERT_TRUE(left.has_value() && some->stale_mass_share.has_value());
    EXPECT_GT(*some->stale_mass_share, *left) << "what is not chosen stays stale";
    EXPECT_LE(*some->stale_mass_share, 1);
  }
}

// The same by hand: each text under both tokenizers, the auxiliary's own KV of it, one number per auxiliary
// token, carried over by the bytes that tokens share.
TEST(SelectorEngine, WithAnotherTokenizerItChoosesWhatScoringByHandChooses) {
  for (const LoadedModel* auxiliary : {&ByteTokenModel(), &SentencePieceModel(), &WordPieceModel()}) {
    Fixture f(*auxiliary);
    const PrefixSpec spec = SpecOf(f.server.prefix);
    ChunkEncoder encoder(auxiliary->model, {.prefix_ids = auxiliary->layout->PrefixIds(spec).value()});
    AuxiliaryInput input{.prefix = encoder.EncodePrefix(0).value()};
    input.question_ids = auxiliary->tokenizer
                             ->Encode(f.request.question, Tokenizer::SpecialTokens::kAsText,
                                      Tokenizer::TextStart::kContinuation)
                             ->ids;
    std::vector<std::vector<TokenSpan>> own_spans, primary_spans;
    for (const ChunkRecord& chunk : f.chunks) {
      const Encoding own = auxiliary->layout->ChunkIds(spec, chunk.text, chunk.title).value();
      input.chunks.push_back(encoder.Encode(own.ids, own.spans, 0).value());
      own_spans.push_back(own.spans);
      primary_spans.push_back(TinyModel().layout->ChunkIds(spec, chunk.text, chunk.title)->spans);
    }
    const std::vector<float> scores = ScoreByAuxiliary(auxiliary->model, input, {}).value();
    std::vector<float> moved;
    size_t begin = 0;
    for (size_t i = 0; i < own_spans.size(); ++i) {
      const std::span<const float> own = std::span(scores).subspan(begin, own_spans[i].size());
      const std::vector<float> chunk = TransferScores(own_spans[i], own, primary_spans[i]);
      moved.insert(moved.end(), chunk.begin(), chunk.end());
      begin += own.size();
    }
    ASSERT_EQ(begin, scores.size());
    const auto by_hand = Select(f.context, moved, {.budget = f.request.budget});
    ASSERT_TRUE(by_hand.ok()) << by_hand.status();
    EXPECT_EQ(f.selector.Select(f.request, CancellationToken())->indices, by_hand->indices);
  }
}

TEST(SelectorEngine, ItsOwnKvIsKeptOrMadeAhead) {
  Fixture f(ByteTokenModel());
  const int num_chunks = static_cast<int>(f.request.chunks.size());
  const auto prepare = [&] {
    return f.selector.Prepare("docs", f.request.prefix_id, f.request.chunks, CancellationToken());
  };
  EXPECT_EQ(prepare().value(), num_chunks);
  EXPECT_EQ(prepare().value(), 0);
  const int64_t puts = f.server.store.stats().puts;
  ASSERT_TRUE(f.selector.Select(f.request, CancellationToken()).ok());
  EXPECT_EQ(f.server.store.stats().puts, puts);
}

TEST(SelectorEngine, ItsOwnKvIsCopiedToWhereItIsKeptWithoutModelWork) {
  Fixture f(ByteTokenModel());
  const auto disk = std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{});
  const auto object = std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{});
  const auto prepare = [&] {
    return f.selector.Prepare("docs", f.request.prefix_id, f.request.chunks, CancellationToken());
  };
  f.runtime.store = disk.get();
  const int num_chunks = static_cast<int>(f.request.chunks.size());
  ASSERT_EQ(prepare().value(), num_chunks);

  const auto stack = TieredChunkStore::Open({{disk, Tier::kDisk}, {object, Tier::kObject, true}}).value();
  f.runtime.store = stack.get();  // the object tier came later
  EXPECT_EQ(prepare().value(), 0);
  EXPECT_EQ(object->stats().objects, num_chunks);
  EXPECT_EQ(disk->group_bytes("docs"), disk->stats().bytes) << "counted to its namespace";
}

TEST(SelectorEngine, ScoresOverInt8ChunksStoredOrEncodedAgain) {
  for (const LoadedModel* auxiliary : {&Truncated(), &ByteTokenModel()}) {
    Fixture f(*auxiliary, KvDtype::kInt8);
    const auto stored = f.selector.Select(f.request, CancellationToken());
    ASSERT_TRUE(stored.ok()) << stored.status();
    const SelectionOptions selection{.budget = f.request.budget};
    EXPECT_TRUE(CheckSelected(f.context, selection, stored->num_context_tokens, stored->indices).ok());
    f.server.store.on_get = [](const ChunkKey& key) { return absl::NotFoundError(key.ToHex()); };
    const auto encoded = f.selector.Select(f.request, CancellationToken());
    ASSERT_TRUE(encoded.ok()) << encoded.status();
    EXPECT_EQ(encoded->indices, stored->indices);
  }
}

TEST(SelectorEngine, ATruncatedPrimaryNeedsNoPreparation) {
  Fixture f(Truncated());
  EXPECT_EQ(f.selector.Prepare("docs", "", f.request.chunks, CancellationToken()).value(), 0);
}

TEST(SelectorEngine, TheFirstChunkIsOnlyChosenWhereItMayBe) {
  Fixture f(Truncated());
  f.request.budget = 0.99;
  const auto guarded = f.selector.Select(f.request, CancellationToken());
  ASSERT_TRUE(guarded.ok()) << guarded.status();
  EXPECT_EQ(guarded->indices.front(), f.context.chunk_lengths[0]);
  f.request.first_chunk_selectable = true;
  EXPECT_LT(f.selector.Select(f.request, CancellationToken())->indices.front(), f.context.chunk_lengths[0]);
}

TEST(SelectorEngine, BadRequestsNameTheField) {
  Fixture f(Truncated());
  const auto field = [&](const std::function<void(SelectRequest&)>& break_it) {
    SelectRequest request = f.request;
    break_it(request);
    return FieldOf(f.selector.Select(request, CancellationToken()).status());
  };
  EXPECT_EQ(field([](auto& r) { r.method = Method::kRandom; }), "method");
  EXPECT_EQ(field([](auto& r) { r.chunks.clear(); }), "chunks");
  EXPECT_EQ(field([](auto& r) { r.question.clear(); }), "question");
  EXPECT_EQ(field([](auto& r) { r.question = "\xff"; }), "question");
  EXPECT_EQ(field([](auto& r) { r.budget = 2; }), "options.budget");
  EXPECT_EQ(field([](auto& r) { r.coverage = 0; }), "options.coverage");
  EXPECT_EQ(field([](auto& r) { r.primary_fingerprint = "other"; }), "primary_fingerprint");
  EXPECT_EQ(field([](auto& r) { r.chunks[1].chunk_id = std::string(64, '0'); }), "chunks[1].chunk_id");
}

TEST(SelectorEngine, ACancelledRequestScoresNothing) {
  Fixture f(Truncated());
  CancellationToken cancellation;
  cancellation.Cancel();
  EXPECT_TRUE(absl::IsCancelled(f.selector.Select(f.request, cancellation).status()));
}

}  // namespace
}  // namespace cacheclip
