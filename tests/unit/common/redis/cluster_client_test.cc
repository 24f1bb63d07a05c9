#include "common/redis/cluster_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "tests/support/poll.h"
#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

constexpr int kKeys = 300;

std::string Key(int i) { return "key" + std::to_string(i); }

class ClusterClientTest : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    cluster_ = std::make_unique<RedisCluster>();
    client_ = cluster_->MakeClient();
  }
  // WAIT makes the loss of a primary harmless: a replica has everything.
  void FillAndReplicate() {
    for (int i = 0; i < kKeys; ++i)
      ASSERT_TRUE(client_->Execute({.args = {"SET", Key(i), std::to_string(i)}}).ok());
    const auto replies = client_->ExecuteOnEveryPrimary({.args = {"WAIT", "1", "30000"}, .key_index = 0}, {});
    ASSERT_TRUE(replies.ok()) << replies.status();
  }
  int CountWrong(const RedisCallOptions& options = {.is_idempotent = true}) {
    std::vector<RedisCommand> gets;
    for (int i = 0; i < kKeys; ++i) gets.push_back({.args = {"GET", Key(i)}});
    const auto replies = client_->Pipeline(gets, options);
    int num_wrong = 0;
    for (int i = 0; i < kKeys; ++i) {
      if (replies[i].ok() && replies[i]->text == std::to_string(i)) continue;
      if (num_wrong++ == 0) ADD_FAILURE() << Key(i) << ": " << replies[i].status();
    }
    return num_wrong;
  }

  std::unique_ptr<RedisCluster> cluster_;
  std::unique_ptr<RedisClient> client_;
};

TEST_F(ClusterClientTest, FindsEveryKeyOnItsNode) {
  FillAndReplicate();
  EXPECT_EQ(CountWrong(), 0);
  EXPECT_EQ(client_->ExecuteOnEveryPrimary({.args = {"PING"}, .key_index = 0}, {})->size(), 3);
  std::set<std::string> keys;
  const auto visit = [&](const std::string& key) { return keys.insert(key), true; };
  ASSERT_TRUE(client_->Scan("key*", visit).ok());
  EXPECT_EQ(keys.size(), kKeys);
  RedisClientOptions automatic = cluster_->client_options();
  automatic.cluster_mode = ClusterMode::kAuto;
  EXPECT_TRUE(MakeRedisClient(automatic).value()->is_cluster());
  automatic.database = 1;
  EXPECT_TRUE(absl::IsFailedPrecondition(MakeRedisClient(automatic).status()));
}

TEST_F(ClusterClientTest, SurvivesTheLossOfAPrimaryWithinTheDeadline) {
  FillAndReplicate();
  cluster_->PrimaryOf(Key(0)).Kill();
  EXPECT_EQ(CountWrong({.deadline = absl::Now() + absl::Seconds(60), .is_idempotent = true}), 0);
  EXPECT_TRUE(client_->Execute({.args = {"SET", Key(0), "again"}}).ok());
}

TEST_F(ClusterClientTest, PrimaryThatHangsIsReplacedToo) {
  FillAndReplicate();
  RedisServer& primary = cluster_->PrimaryOf(Key(0));
  primary.Pause();
  EXPECT_EQ(CountWrong({.deadline = absl::Now() + absl::Seconds(60), .is_idempotent = true}), 0);
  primary.Resume();
  EXPECT_TRUE(PollUntil([&] { return cluster_->IsHealthy(); }));
  EXPECT_EQ(CountWrong(), 0) << "the old primary is a replica now";
}

TEST_F(ClusterClientTest, FollowsASlotThatMovesWhileItIsUsed) {
  const std::string tag = "{moving}";
  for (int i = 0; i < kKeys; ++i)
    ASSERT_TRUE(client_->Execute({.args = {"SET", tag + Key(i), std::to_string(i)}}).ok());
  std::atomic<bool> is_done{false};
  std::atomic<int> num_read{0}, num_wrong{0};
  std::thread reader([&] {
    for (int i = 0; !is_done || num_read < 2 * kKeys; i = (i + 1) % kKeys, ++num_read) {
      const auto reply = client_->Execute({.args = {"GET", tag + Key(i)}});
      if (!reply.ok() || reply->text != std::to_string(i)) ++num_wrong;
    }
  });
  for (int round = 0; round < 3; ++round)
    cluster_->MigrateSlotOf(tag, [&] {
      const int before = num_read;
      EXPECT_TRUE(PollUntil([&] { return num_read >= before + kKeys; }));
    });
  is_done = true;
  reader.join();
  EXPECT_EQ(num_wrong, 0) << "of " << num_read;
}

TEST_F(ClusterClientTest, ClusterThatIsGoneCostsNothingOnceThatIsKnown) {
  for (int i = 0; i < cluster_->num_nodes(); ++i) cluster_->node(i).Kill();
  const RedisCommand get{.args = {"GET", "k"}};
  EXPECT_TRUE(absl::IsUnavailable(client_->Execute(get, {.retry_for = absl::Milliseconds(200)}).status()));
  // The test would not end if one of these used up its time for retries.
  for (int i = 0; i < 100; ++i)
    EXPECT_TRUE(absl::IsUnavailable(client_->Execute(get, {.retry_for = absl::Hours(1)}).status()));
}

}  // namespace
}  // namespace cacheclip
