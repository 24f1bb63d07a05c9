#include "common/engine/chunk_source.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/base/status.h"
#include "common/kv/chunk_builder.h"
#include "common/store/tiered_chunk_store.h"
#include "tests/support/engine_harness.h"
#include "tests/support/fake_tier.h"

namespace cacheclip {
namespace {

struct Fixture {
  EngineHarness server;
  ChunkSource source{&server.contexts};
  std::shared_ptr<PrefixContext> prefix = server.contexts.Get("docs", "").value();
  std::vector<std::string> ids = server.IngestChunkIds();

  ResolvedChunk ById(size_t index) const {
    return source.Resolve(prefix, std::vector<ChunkInput>{{.chunk_id = ids[index]}}, false).value()[0];
  }
  absl::StatusOr<LoadedChunk> Load(const ResolvedChunk& chunk, PutBack put_back = PutBack::kIfById) {
    return source.Load(chunk, put_back, TaskPriority::kInteractive, CancellationToken());
  }
};

void ExpectSameKv(const EncodedChunk& a, const EncodedChunk& b) {
  ASSERT_EQ(a.num_tokens(), b.num_tokens());
  for (int layer = 0; layer < a.shape().num_layers; ++layer) {
    EXPECT_TRUE(std::ranges::equal(a.Keys(layer), b.Keys(layer))) << "keys of layer " << layer;
    EXPECT_TRUE(std::ranges::equal(a.Values(layer), b.Values(layer))) << "values of layer " << layer;
  }
}

TEST(ChunkSource, ResolvesAllIdsInOneLookUp) {
  Fixture f;
  const std::vector<ChunkInput> inputs{{.chunk_id = f.ids[0]}, {.text = "A text."}, {.chunk_id = f.ids[1]}};
  const auto chunks = f.source.Resolve(f.prefix, inputs, false);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  EXPECT_EQ(f.server.catalog.num_lookups, 1);
  EXPECT_EQ((*chunks)[0].key.ToHex(), f.ids[0]);
  EXPECT_TRUE((*chunks)[0].by_id);
  EXPECT_FALSE((*chunks)[1].by_id);
  EXPECT_EQ((*chunks)[2].key.ToHex(), f.ids[1]);
}

TEST(ChunkSource, AnIngestedChunkIsAHitByIdAndByText) {
  Fixture f;
  const ChunkRecord record = *f.server.catalog.ResolveChunks("docs", f.ids).value()[0];
  const auto by_text = f.source.Resolve(
      f.prefix, std::vector<ChunkInput>{{.text = record.text, .title = record.title}}, false);
  EXPECT_EQ((*by_text)[0].key.ToHex(), f.ids[0]);
  EXPECT_EQ(f.Load((*by_text)[0])->hit.tier, Tier::kMemory);
  EXPECT_EQ(f.Load(f.ById(0))->hit.tier, Tier::kMemory);
}

TEST(ChunkSource, AnUnknownIdIsNotFoundAndNamed) {
  Fixture f;
  const std::vector<ChunkInput> inputs{{.chunk_id = f.ids[0]}, {.chunk_id = std::string(64, '0')}};
  const auto chunks = f.source.Resolve(f.prefix, inputs, false);
  EXPECT_TRUE(absl::IsNotFound(chunks.status()));
  EXPECT_EQ(FieldOf(chunks.status()), "chunks[1].chunk_id");
}

TEST(ChunkSource, WithoutTheCatalogueIdsAreUnavailableAndTextsWork) {
  Fixture f;
  f.server.catalog.is_down = true;
  EXPECT_TRUE(absl::IsUnavailable(
      f.source.Resolve(f.prefix, std::vector<ChunkInput>{{.chunk_id = f.ids[0]}}, false).status()));
  EXPECT_TRUE(f.source.Resolve(f.prefix, std::vector<ChunkInput>{{.text = "A text."}}, false).ok());
}

TEST(ChunkSource, AChunkOfAnotherPrefixNeedsPermission) {
  Fixture f;
  PrefixSpec spec{.system_prompt = "Be brief."};
  spec.template_time = absl::FromUnixSeconds(1);
  ASSERT_TRUE(f.server.contexts.Register("docs", spec, false).ok());
  const auto other = f.server.contexts.GetForSpec("docs", spec).value();
  const std::vector<ChunkInput> inputs{{.chunk_id = f.ids[0]}};
  const auto refused = f.source.Resolve(other, inputs, false);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_EQ(FieldOf(refused.status()), "chunks[0].chunk_id");
  const auto served = f.source.Resolve(other, inputs, true);
  ASSERT_TRUE(served.ok()) << served.status();
  EXPECT_TRUE((*served)[0].other_prefix);
  EXPECT_EQ(f.Load((*served)[0])->hit.tier, Tier::kMemory);  // as it was stored
}

TEST(ChunkSource, AChunkOfAnotherModelIsRefused) {
  Fixture f;
  ChunkRecord record = *f.server.catalog.ResolveChunks("docs", f.ids).value()[0];
  record.chunk_id = std::string(64, 'b');  // as a server with another model would have keyed it
  const Document document{.namespace_name = "docs",
                          .document_id = "foreign",
                          .content_digest = "digest",
                          .prefix_id = record.prefix_id,
                          .chunks = {{record.chunk_id, 0, 1}}};
  ASSERT_TRUE(f.server.catalog.PutDocument(document, std::vector<ChunkRecord>{record}).ok());
  const auto chunks =
      f.source.Resolve(f.prefix, std::vector<ChunkInput>{{.chunk_id = record.chunk_id}}, false);
  EXPECT_TRUE(absl::IsFailedPrecondition(chunks.status())) << chunks.status();
  EXPECT_EQ(FieldOf(chunks.status()), "chunks[0].chunk_id");
}

TEST(ChunkSource, AMissingChunkIsEncodedAloneAndPutBack) {
  Fixture f;
  const ResolvedChunk chunk = f.ById(1);
  const auto stored = f.Load(chunk);
  ASSERT_TRUE(f.server.store.Delete(chunk.key).ok());
  const auto again = f.Load(chunk);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->hit.tier, Tier::kComputed);
  ASSERT_EQ(again->fallbacks.size(), 1u);
  EXPECT_EQ(again->fallbacks[0].reason, "chunk_missing");
  ExpectSameKv(*stored->hit.chunk, *again->hit.chunk);
  EXPECT_EQ(f.Load(chunk)->hit.tier, Tier::kMemory);
}

TEST(ChunkSource, DamagedBytesAreEncodedAgain) {
  Fixture f;
  const ResolvedChunk chunk = f.ById(1);
  f.server.store.on_get = [](const ChunkKey&) { return absl::DataLossError("checksum"); };
  const auto loaded = f.Load(chunk);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->hit.tier, Tier::kComputed);
  EXPECT_EQ(loaded->fallbacks[0].reason, "chunk_corrupt");
}

// Damage in Redis while the object store is avoided, or away, is no reason to lose the object store's copy.
TEST(ChunkSource, DamageInOneTierLeavesTheGoodCopyOfAnother) {
  Fixture f;
  const ResolvedChunk chunk = f.ById(1);
  const auto stored = f.Load(chunk)->hit.chunk;
  const auto memory = std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{.max_bytes = 0});
  const auto redis = std::make_shared<FakeTier>(), object = std::make_shared<FakeTier>();
  const auto stack =
      TieredChunkStore::Open(
          {{memory, Tier::kMemory}, {redis, Tier::kRedis, true}, {object, Tier::kObject, true}})
          .value();
  ASSERT_TRUE(object->Put(stored).ok());
  Runtime runtime = f.server.runtime;
  runtime.store = stack.get();
  PrefixContexts contexts(runtime);
  const ChunkSource source(&contexts);
  ResolvedChunk on_stack = chunk;
  on_stack.context = contexts.Get("docs", "").value();

  redis->FailWith(absl::DataLossError("checksum of slice 2"));
  const ReadResult avoided = source.Read(on_stack, {.avoid = {Tier::kObject}});
  EXPECT_EQ(avoided.problem, ReadProblem::kDamaged);
  EXPECT_EQ(avoided.fallback->reason, "chunk_corrupt");
  EXPECT_EQ(object->num_deletes, 0);
  const ReadResult served = source.Read(on_stack, {});
  ASSERT_TRUE(served.hit.has_value()) << "also at once, from the tier below";
  EXPECT_EQ(served.hit->tier, Tier::kObject);
  ExpectSameKv(*served.hit->chunk, *stored);
}

TEST(ChunkSource, AnotherChunkUnderTheKeyIsDeletedAndNeverServed) {
  Fixture f;
  const ResolvedChunk chunk = f.ById(1);
  ChunkHeader header = f.Load(chunk)->hit.chunk->header();
  header.chunk_ids[0] ^= 1;  // same key, other tokens
  ASSERT_TRUE(f.server.store.Delete(chunk.key).ok());
  ASSERT_TRUE(f.server.store.Put(std::move(ChunkBuilder::Create(header).value()).Finish()).ok());
  const auto loaded = f.Load(chunk);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->hit.tier, Tier::kComputed);
  EXPECT_EQ(loaded->fallbacks[0].reason, "chunk_mismatch");
  EXPECT_EQ(f.Load(chunk)->hit.tier, Tier::kMemory);  // the right one took its place
}

TEST(ChunkSource, AFullDiskCostsTheWriteOnly) {
  Fixture f;
  const ResolvedChunk chunk = f.ById(1);
  ASSERT_TRUE(f.server.store.Delete(chunk.key).ok());
  f.server.store.on_put = [] { return absl::ResourceExhaustedError("disk full"); };
  const auto loaded = f.Load(chunk);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->fallbacks.back().reason, "write_failed");
}

TEST(ChunkSource, ATextIsStoredOnlyWhenAsked) {
  Fixture f;
  const auto chunk =
      f.source.Resolve(f.prefix, std::vector<ChunkInput>{{.text = "A new text."}}, false).value()[0];
  EXPECT_TRUE(f.Load(chunk)->fallbacks.empty());
  EXPECT_FALSE(f.server.store.Contains(chunk.key).value());
  ASSERT_TRUE(f.Load(chunk, PutBack::kAlways).ok());
  EXPECT_TRUE(f.server.store.Contains(chunk.key).value());
}

TEST(ChunkSource, ACancelledLoadEncodesNothing) {
  Fixture f;
  const auto chunk =
      f.source.Resolve(f.prefix, std::vector<ChunkInput>{{.text = "A new text."}}, false).value()[0];
  CancellationToken cancellation;
  cancellation.Cancel();
  EXPECT_TRUE(absl::IsCancelled(
      f.source.Load(chunk, PutBack::kAlways, TaskPriority::kInteractive, cancellation).status()));
  EXPECT_FALSE(f.server.store.Contains(chunk.key).value());
}

}  // namespace
}  // namespace cacheclip
