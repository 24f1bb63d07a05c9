#include "common/kv/chunk_key.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

const std::vector<int32_t> kPrefix = {1, 2, 3};
const std::vector<int32_t> kChunk = {4, 5, 6, 7};

ChunkIdentity MakeIdentity() {
  ChunkIdentity identity;
  identity.format_version = 1;
  identity.model_fingerprint.fill(1);
  identity.tokenizer_fingerprint.fill(2);
  identity.rope_parameters = "default theta=10000";
  identity.shape = {30, 3, 64, KvDtype::kBf16};
  identity.prefix_ids = kPrefix;
  identity.chunk_ids = kChunk;
  identity.namespace_salt = "salt";
  return identity;
}

TEST(ComputeChunkKey, ChangingAnyOneFieldChangesTheKey) {
  static const std::vector<int32_t> other_ids = {4, 5, 6, 8};
  const std::vector<std::function<void(ChunkIdentity&)>> changes = {
      [](ChunkIdentity&) {},
      [](ChunkIdentity& identity) { identity.format_version = 2; },
      [](ChunkIdentity& identity) { identity.model_fingerprint[31] ^= 1; },
      [](ChunkIdentity& identity) { identity.tokenizer_fingerprint[0] ^= 1; },
      [](ChunkIdentity& identity) { identity.rope_parameters = "default theta=10001"; },
      [](ChunkIdentity& identity) { identity.shape.num_layers = 29; },
      [](ChunkIdentity& identity) { identity.shape.num_kv_heads = 4; },
      [](ChunkIdentity& identity) { identity.shape.head_dim = 65; },
      [](ChunkIdentity& identity) { identity.shape.dtype = KvDtype::kFp32; },
      [](ChunkIdentity& identity) { identity.layout = static_cast<KvLayout>(2); },
      [](ChunkIdentity& identity) { identity.prefix_ids = other_ids; },
      [](ChunkIdentity& identity) { identity.chunk_ids = other_ids; },
      [](ChunkIdentity& identity) { identity.namespace_salt = "Salt"; },
      [](ChunkIdentity& identity) { std::swap(identity.model_fingerprint, identity.tokenizer_fingerprint); },
      [](ChunkIdentity& identity) { std::swap(identity.rope_parameters, identity.namespace_salt); },
  };
  std::set<ChunkKey> keys;
  for (const auto& change : changes) {
    ChunkIdentity identity = MakeIdentity();
    change(identity);
    keys.insert(ComputeChunkKey(identity));
  }
  EXPECT_EQ(keys.size(), changes.size());
}

TEST(ComputeChunkKey, MovingATokenFromPrefixToChunkChangesTheKey) {
  const std::vector<int32_t> all = {1, 2, 3, 4, 5, 6, 7};
  std::set<ChunkKey> keys;
  for (size_t border = 0; border <= all.size(); ++border) {
    ChunkIdentity identity = MakeIdentity();
    identity.prefix_ids = std::span(all).first(border);
    identity.chunk_ids = std::span(all).subspan(border);
    keys.insert(ComputeChunkKey(identity));
  }
  EXPECT_EQ(keys.size(), all.size() + 1);
}

// A stored cache is found again only if this never changes by accident.
TEST(ComputeChunkKey, IsStable) {
  EXPECT_EQ(ComputeChunkKey(MakeIdentity()).ToHex(),
            "cbb45f2707f022cab369284b3f35c4ba776899bbb386da737096683dbac04d58");
}

TEST(ChunkKey, HexRoundTrip) {
  const ChunkKey key = ComputeChunkKey(MakeIdentity());
  EXPECT_EQ(ChunkKey::FromHex(key.ToHex()).value(), key);
  for (std::string_view bad : {"", "ab", "zz"})
    EXPECT_EQ(FieldOf(ChunkKey::FromHex(bad).status()), "chunk_key");
  EXPECT_FALSE(ChunkKey::FromHex(key.ToHex() + "0").ok());
  EXPECT_FALSE(ChunkKey::FromHex(key.ToHex().replace(3, 1, "g")).ok());
}

TEST(ChunkKey, WorksAsAHashKey) {
  absl::flat_hash_set<ChunkKey> keys = {ComputeChunkKey(MakeIdentity())};
  EXPECT_TRUE(keys.contains(ComputeChunkKey(MakeIdentity())));
  EXPECT_FALSE(keys.contains(ChunkKey{}));
}

}  // namespace
}  // namespace cacheclip
