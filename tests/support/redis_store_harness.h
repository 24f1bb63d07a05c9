// What the Redis tier's tests share: a store on a real server or cluster, and hands on the keys behind its
// back. Servers are started once per test program and emptied for each test. One harness per test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/store/redis/chunk_keys.h"
#include "common/store/redis/redis_chunk_store.h"
#include "tests/support/chunk_store_contract.h"
#include "tests/support/redis_server.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {

// Keys of a chunk as the server has them now.
inline std::vector<std::string> KeysOf(RedisClient& client, const ChunkKey& key) {
  std::vector<std::string> keys;
  const std::string pattern = "cc:kv:{" + key.ToHex() + "}:*";
  const absl::Status status = client.Scan(pattern, [&](const std::string& name) {
    if (std::ranges::find(keys, name) == keys.end()) keys.push_back(name);
    return true;
  });
  EXPECT_TRUE(status.ok()) << status;
  std::ranges::sort(keys);
  return keys;
}

inline int64_t NumKeys(RedisClient& client) {
  const auto sizes = client.ExecuteOnEveryPrimary({.args = {"DBSIZE"}, .key_index = 0}, {});
  EXPECT_TRUE(sizes.ok()) << sizes.status();
  int64_t total = 0;
  for (const RedisReply& size : *sizes) total += size.integer;
  return total;
}

inline absl::Duration TtlOf(RedisClient& client, const std::string& name) {
  return absl::Milliseconds(client.Execute({.args = {"PTTL", name}})->integer);
}

inline void FlipRedisBit(RedisClient& client, const std::string& name, int offset) {
  const std::string at = std::to_string(offset);
  std::string byte = client.Execute({.args = {"GETRANGE", name, at, at}})->text;
  byte[0] ^= 1;
  EXPECT_TRUE(client.Execute({.args = {"SETRANGE", name, at, byte}}).ok());
}

inline void FlushRedis(RedisClient& client) {
  EXPECT_TRUE(client.ExecuteOnEveryPrimary({.args = {"FLUSHALL"}, .key_index = 0}, {}).ok());
}

// No tests where redis-server is not installed; in CI they run, and fail, all the same.
inline std::vector<StoreHarnessFactory> WithRedis(StoreHarnessFactory factory) {
  if (!FindProgram("redis-server").empty() || std::getenv("CI") != nullptr) return {std::move(factory)};
  std::cerr << "skipped: redis-server is not installed: apt-get install redis-server\n";
  return {};
}

class RedisHarness : public StoreHarness {
 public:
  explicit RedisHarness(std::shared_ptr<RedisClient> client, RedisChunkStoreOptions options = {})
      : client_(std::move(client)) {
    FlushRedis(*client_);
    options.clock = &clock();
    store_ = RedisChunkStore::Make(client_, std::move(options)).value();
  }
  ChunkStore& store() override { return *store_; }
  bool has_budget() const override { return false; }
  bool Corrupt(const ChunkKey& key) override {
    for (const std::string& name : KeysOf(*client_, key))
      if (name.ends_with(":1")) FlipRedisBit(*client_, name, 20);
    return true;
  }

 private:
  const std::shared_ptr<RedisClient> client_;
  std::unique_ptr<RedisChunkStore> store_;
};

}  // namespace cacheclip
