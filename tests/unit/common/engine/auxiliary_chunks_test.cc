#include "common/engine/auxiliary_chunks.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/auxiliary_model.h"
#include "tests/support/engine_harness.h"

namespace cacheclip {
namespace {

SelectRequest RequestFor(EngineHarness& server, const std::vector<std::string>& ids) {
  SelectRequest request{.namespace_name = "docs",
                        .prefix_id = server.prefix.prefix_id,
                        .primary_fingerprint = server.prefix.model_fingerprint};
  for (const std::string& id : ids) request.chunks.push_back({.chunk_id = id});
  return request;
}

TEST(AuxiliaryChunks, ATruncatedPrimaryReadsTheStoredPrimaryKv) {
  EngineHarness server;
  const SelectRequest request = RequestFor(server, server.IngestChunkIds());
  const Runtime runtime = AuxiliaryRuntime(server, TinyModel("", 3));
  PrefixContexts truncated(runtime);
  AuxiliaryChunks source(&truncated, &truncated);
  const auto chunks = source.Resolve(request);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  const int64_t puts = server.store.stats().puts;
  for (size_t i = 0; i < chunks->size(); ++i) {
    const auto kv = source.Load((*chunks)[i], TaskPriority::kInteractive, CancellationToken());
    ASSERT_TRUE(kv.ok()) << kv.status();
    EXPECT_EQ((*kv)->key().ToHex(), request.chunks[i].chunk_id);
  }
  EXPECT_EQ(server.store.stats().puts, puts);
}

TEST(AuxiliaryChunks, ATruncatedPrimaryEncodesWhatIsMissingAndStoresNothing) {
  EngineHarness server;
  const SelectRequest request = RequestFor(server, server.IngestChunkIds());
  const Runtime runtime = AuxiliaryRuntime(server, TinyModel("", 3));
  PrefixContexts truncated(runtime);
  AuxiliaryChunks source(&truncated, &truncated);
  const auto chunks = source.Resolve(request);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  ASSERT_TRUE(server.store.Delete((*chunks)[0].primary_key).ok());
  const int64_t objects = server.store.stats().objects;
  const auto kv = source.Load((*chunks)[0], TaskPriority::kInteractive, CancellationToken());
  ASSERT_TRUE(kv.ok()) << kv.status();
  EXPECT_EQ((*kv)->num_tokens(), (*chunks)[0].resolved.num_tokens());
  EXPECT_EQ(server.store.stats().objects, objects);
}

TEST(AuxiliaryChunks, AnotherModelHasTokensAndKvOfItsOwn) {
  EngineHarness server;
  const SelectRequest request = RequestFor(server, server.IngestChunkIds());
  const Runtime runtime = AuxiliaryRuntime(server, ByteTokenModel());
  PrefixContexts auxiliary(runtime);
  AuxiliaryChunks source(&server.contexts, &auxiliary);
  const auto chunks = source.Resolve(request);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  const AuxiliaryChunk& chunk = (*chunks)[0];
  EXPECT_GT(chunk.resolved.encoding.ids.size(), chunk.primary_spans.size());
  EXPECT_NE(chunk.resolved.key, chunk.primary_key);
  ASSERT_TRUE(source.Load(chunk, TaskPriority::kInteractive, CancellationToken()).ok());
  EXPECT_TRUE(server.store.Contains(chunk.resolved.key).value());
}

TEST(AuxiliaryChunks, TextsNeedNoCatalogueRecord) {
  EngineHarness server;
  SelectRequest request = RequestFor(server, {std::string(64, 'a')});
  EXPECT_TRUE(
      absl::IsNotFound(AuxiliaryChunks(&server.contexts, &server.contexts).Resolve(request).status()));
  request.chunks[0].text = "A text.";
  EXPECT_TRUE(AuxiliaryChunks(&server.contexts, &server.contexts).Resolve(request).ok());
}

TEST(AuxiliaryChunks, AnotherPrimaryOrAnotherCountIsRefused) {
  EngineHarness server;
  SelectRequest request = RequestFor(server, server.IngestChunkIds());
  request.chunks[1].num_tokens = 1;
  const auto miscounted = AuxiliaryChunks(&server.contexts, &server.contexts).Resolve(request);
  EXPECT_EQ(FieldOf(miscounted.status()), "chunks[1].num_tokens");
  request.primary_fingerprint = "other";
  const auto foreign = AuxiliaryChunks(&server.contexts, &server.contexts).Resolve(request);
  EXPECT_TRUE(absl::IsFailedPrecondition(foreign.status()));
  EXPECT_EQ(FieldOf(foreign.status()), "primary_fingerprint");
}

}  // namespace
}  // namespace cacheclip
