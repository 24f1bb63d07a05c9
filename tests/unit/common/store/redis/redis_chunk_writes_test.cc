#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

#include "absl/time/clock.h"
#include "tests/support/redis_store_harness.h"

namespace cacheclip {
namespace {

class RedisChunkWritesTest : public testing::Test {
 protected:
  void SetUp() override { CACHECLIP_NEEDS_REDIS(); }
  void Start(std::vector<std::string> settings = {}) {
    server_ = std::make_unique<RedisServer>(RedisServerOptions{.settings = std::move(settings)});
    admin_ = server_->MakeClient();
    store_ = RedisChunkStore::Make(server_->MakeClient(), {}).value();
  }
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<RedisClient> admin_;
  std::unique_ptr<RedisChunkStore> store_;
};

// A chunk that differs from MakeTestChunk(1) in its bytes, not in its key: another machine has computed it.
std::shared_ptr<const EncodedChunk> MakeSameKeyOtherBytes() {
  ChunkBuilder builder = ChunkBuilder::Create(MakeTestHeader({.seed = 1})).value();
  std::ranges::fill(builder.MutableKeys(0), std::byte{7});
  return std::move(builder).Finish();
}

// Passes everything on; before slices are deleted, something else may happen, once.
class ClientWithAStep : public RedisClient {
 public:
  explicit ClientWithAStep(std::unique_ptr<RedisClient> client) : client_(std::move(client)) {}
  std::function<void()> before_discard;

  void Stream(std::span<const RedisCommand> commands, const RedisCallOptions& options,
              const ReplyHandler& on_reply) override {
    const std::vector<std::string>& args = commands.front().args;
    const bool is_script_on_slices = args[0].starts_with("EVAL") && args[2] != "2";
    if (args[0] == "UNLINK" || is_script_on_slices)
      if (const auto step = std::exchange(before_discard, nullptr)) step();
    client_->Stream(commands, options, on_reply);
  }
  absl::StatusOr<std::vector<RedisReply>> ExecuteOnEveryPrimary(const RedisCommand& command,
                                                                const RedisCallOptions& options) override {
    return client_->ExecuteOnEveryPrimary(command, options);
  }
  absl::Status Scan(std::string_view pattern, const KeyVisitor& visitor,
                    const RedisCallOptions& options) override {
    return client_->Scan(pattern, visitor, options);
  }
  std::string address() const override { return client_->address(); }
  bool is_cluster() const override { return client_->is_cluster(); }

 private:
  const std::unique_ptr<RedisClient> client_;
};

TEST_F(RedisChunkWritesTest, AChunkPutAgainWhileItIsDeletedKeepsItsSlices) {
  Start();
  const auto client = std::make_shared<ClientWithAStep>(server_->MakeClient());
  const auto deleting = RedisChunkStore::Make(client, {}).value();
  const auto chunk = MakeTestChunk(1);
  ASSERT_TRUE(store_->Put(chunk).ok());
  client->before_discard = [&] { EXPECT_TRUE(store_->Put(chunk).ok()) << "the header is gone by now"; };
  ASSERT_TRUE(deleting->Delete(chunk->key()).ok());
  EXPECT_EQ(client->before_discard, nullptr);
  const auto hit = store_->Get(chunk->key());
  ASSERT_TRUE(hit.ok()) << hit.status();
  EXPECT_TRUE(std::ranges::equal(hit->chunk->image(), chunk->image()));
}

TEST_F(RedisChunkWritesTest, TwoWritersOfOneChunkLeaveItItsFullTtl) {
  Start();
  const auto chunk = MakeTestChunk(1);
  const auto slices = static_cast<int>(chunk->slices().size());
  const std::string slice = RedisSliceKey(chunk->key(), chunk->header_bytes(), 0);
  // The second writer has to begin again, and finds that the first has published meanwhile.
  bool is_first_attempt = true;
  RedisChunkStoreOptions options;
  options.on_put_step = [&](int step) {
    if (!is_first_attempt) return;
    if (step == slices - 1) EXPECT_TRUE(admin_->Execute({.args = {"DEL", slice}}).ok());
    if (step < slices) return;
    is_first_attempt = false;
    EXPECT_TRUE(store_->Put(chunk).ok());
  };
  const auto second = RedisChunkStore::Make(server_->MakeClient(), options).value();
  ASSERT_TRUE(second->Put(chunk).ok());
  EXPECT_FALSE(is_first_attempt);
  EXPECT_EQ(store_->stats().puts, 1);
  EXPECT_EQ(second->stats().puts, 0);
  for (const std::string& name : KeysOf(*admin_, chunk->key()))
    EXPECT_GT(TtlOf(*admin_, name), options.ttl - absl::Minutes(1)) << name;
}

TEST_F(RedisChunkWritesTest, EveryKeyHasATtl) {
  Start();
  for (int seed = 1; seed <= 20; ++seed) ASSERT_TRUE(store_->Put(MakeTestChunk(seed)).ok());
  ASSERT_TRUE(store_->Pin(MakeTestChunk(1)->key(), "job", absl::Now() + absl::Hours(1)).ok());
  int num_keys = 0;
  ASSERT_TRUE(admin_
                  ->Scan("*",
                         [&](const std::string& name) {
                           EXPECT_GT(TtlOf(*admin_, name), absl::ZeroDuration()) << name;
                           return ++num_keys > 0;
                         })
                  .ok());
  EXPECT_GE(num_keys, 20 * 3 + 1);
}

// 50 layers of one slice: the writer dies after each of them, and after publishing.
TEST_F(RedisChunkWritesTest, KilledWriterLeavesNothingVisible) {
  Start();
  const auto chunk = MakeTestChunk({.seed = 1, .num_tokens = 5, .shape = {50, 2, 8, KvDtype::kBf16}});
  int num_visible = 0;
  for (int fatal_step = 0; fatal_step <= 50; ++fatal_step) {
    const pid_t child = ::fork();
    if (child == 0) {
      RedisChunkStoreOptions options;
      options.on_put_step = [&](int step) {
        if (step == fatal_step) ::_exit(9);
      };
      (void)RedisChunkStore::Make(server_->MakeClient(), options).value()->Put(chunk);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_EQ(WEXITSTATUS(status), 9);
    if (store_->Contains(chunk->key()).value()) {
      ++num_visible;
      EXPECT_TRUE(store_->Get(chunk->key()).ok());
    } else {
      EXPECT_GE(NumKeys(*admin_), fatal_step) << "slices without a header";
      EXPECT_TRUE(absl::IsNotFound(store_->Get(chunk->key()).status()));
    }
    EXPECT_TRUE(store_->Put(chunk).ok()) << "what a dead writer left is in nobody's way";
    EXPECT_TRUE(store_->Get(chunk->key()).ok());
    ASSERT_TRUE(store_->Delete(chunk->key()).ok());
    EXPECT_EQ(NumKeys(*admin_), 0);
  }
  EXPECT_EQ(num_visible, 1) << "only a writer killed after publishing has stored its chunk";
}

TEST_F(RedisChunkWritesTest, WritersWhoseBytesDifferNeverMix) {
  Start();
  const auto mine = MakeTestChunk(1), theirs = MakeSameKeyOtherBytes();
  ASSERT_EQ(mine->key(), theirs->key());
  RedisChunkStoreOptions options;
  // In the middle of my writing somebody else stores the chunk.
  options.on_put_step = [&](int step) {
    if (step != 0) return;
    ASSERT_TRUE(store_->Put(theirs).ok());
  };
  ASSERT_TRUE(RedisChunkStore::Make(server_->MakeClient(), options).value()->Put(mine).ok());
  const auto hit = store_->Get(mine->key());
  ASSERT_TRUE(hit.ok()) << hit.status();
  EXPECT_TRUE(std::ranges::equal(hit->chunk->image(), theirs->image()));
  EXPECT_EQ(NumKeys(*admin_), 1 + theirs->slices().size()) << "my slices are gone";
}

TEST_F(RedisChunkWritesTest, PutRepairsAHalfChunk) {
  Start();
  const auto chunk = MakeTestChunk(1);
  ASSERT_TRUE(store_->Put(chunk).ok());
  admin_->Execute({.args = {"DEL", RedisSliceKey(chunk->key(), chunk->header_bytes(), 1)}}).IgnoreError();
  ASSERT_TRUE(store_->Put(chunk).ok());
  EXPECT_TRUE(store_->Get(chunk->key()).ok());
  FlipRedisBit(*admin_, RedisHeaderKey(chunk->key()), 100);
  ASSERT_TRUE(store_->Put(chunk).ok());
  EXPECT_TRUE(store_->Get(chunk->key()).ok());
}

std::shared_ptr<const EncodedChunk> MakeMebibyteChunk(int32_t seed) {
  return MakeTestChunk({.seed = seed, .num_tokens = 128, .shape = {4, 8, 64, KvDtype::kBf16}});
}

TEST_F(RedisChunkWritesTest, FullServerWithoutEvictionRefusesAndKeepsWhatItHas) {
  Start({"maxmemory 8mb", "maxmemory-policy noeviction"});
  std::vector<int32_t> stored;
  int num_refused = 0;
  for (int32_t seed = 1; seed <= 20; ++seed) {
    const absl::Status put = store_->Put(MakeMebibyteChunk(seed));
    ASSERT_TRUE(put.ok() || absl::IsResourceExhausted(put)) << put;
    if (put.ok()) {
      stored.push_back(seed);
    } else {
      ++num_refused;
      EXPECT_TRUE(KeysOf(*admin_, MakeMebibyteChunk(seed)->key()).empty()) << "slices of a refused chunk";
    }
  }
  EXPECT_GT(num_refused, 0);
  EXPECT_EQ(store_->stats().rejected_puts, num_refused);
  EXPECT_GT(stored.size(), 2);
  for (const int32_t seed : stored) EXPECT_TRUE(store_->Get(MakeMebibyteChunk(seed)->key()).ok()) << seed;
}

TEST_F(RedisChunkWritesTest, FullServerWithEvictionServesWholeChunksOrNone) {
  Start({"maxmemory 8mb", "maxmemory-policy volatile-lru"});
  int num_hits = 0, num_misses = 0;
  for (int32_t round = 0; round < 60; ++round) {
    const auto chunk = MakeMebibyteChunk(1 + round * 7 % 20);
    const absl::Status put = store_->Put(chunk);
    EXPECT_TRUE(put.ok() || absl::IsResourceExhausted(put)) << put;
    const auto hit = store_->Get(MakeMebibyteChunk(1 + round * 3 % 20)->key());
    if (hit.ok()) {
      ++num_hits;
      EXPECT_TRUE(std::ranges::equal(hit->chunk->image(), MakeMebibyteChunk(1 + round * 3 % 20)->image()));
    } else {
      ++num_misses;
      EXPECT_TRUE(absl::IsNotFound(hit.status())) << hit.status();
    }
  }
  EXPECT_GT(num_hits, 0);
  EXPECT_GT(num_misses, 0);
  EXPECT_EQ(store_->stats().corrupt, 0);
}

}  // namespace
}  // namespace cacheclip
