#include "common/store/redis/chunk_scripts.h"

#include <gtest/gtest.h>

#include "tests/support/redis_store_harness.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kTtl = absl::Minutes(30);

// Slices and header are plain values here: the scripts do not look into them.
class ChunkScriptsTest : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    static RedisServer server;
    client_ = server.MakeClient();
    FlushRedis(*client_);
    for (size_t i = 2; i < keys_.size(); ++i)
      ASSERT_TRUE(client_->Execute({.args = {"PSETEX", keys_[i], "600000", "slice"}}).ok());
    scripts_ = std::make_unique<ChunkScripts>(client_.get(), kTtl);
  }
  absl::Duration Ttl(size_t index) { return TtlOf(*client_, keys_[index]); }
  // Less than a minute away from `expected`, which is minutes.
  static bool IsNear(absl::Duration ttl, absl::Duration expected) {
    return ttl <= expected && ttl > expected - absl::Seconds(30);
  }

  const std::shared_ptr<const EncodedChunk> chunk_ = MakeTestChunk(1);
  const std::vector<std::string> keys_ = AllRedisKeys(chunk_->key(), chunk_->header_bytes(), 3);
  const std::string header_ = "header bytes with the tail 12345678", tail_ = "12345678";
  std::unique_ptr<RedisClient> client_;
  std::unique_ptr<ChunkScripts> scripts_;
};

TEST_F(ChunkScriptsTest, PublishedChunkHasTheTtlAndSlicesOutliveTheHeader) {
  EXPECT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kDone);
  EXPECT_TRUE(IsNear(Ttl(0), kTtl)) << Ttl(0);
  for (size_t i = 2; i < keys_.size(); ++i)
    EXPECT_TRUE(IsNear(Ttl(i), kTtl + ChunkScripts::kSliceSlack)) << Ttl(i);
  EXPECT_EQ(scripts_->Publish(keys_, "another 87654321", {}).value(), ScriptOutcome::kPresent);
  EXPECT_EQ(client_->Execute({.args = {"GET", keys_[0]}})->text, header_);
}

TEST_F(ChunkScriptsTest, ASecondWriterOfTheSameBytesLeavesTheirTtlAsItWas) {
  const auto write_slices = [&] {
    for (size_t i = 2; i < keys_.size(); ++i)
      EXPECT_TRUE(client_->Execute({.args = {"PSETEX", keys_[i], "60000", "slice"}}).ok());
  };
  ASSERT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kDone);
  write_slices();
  EXPECT_EQ(scripts_->Publish(keys_, "another 87654321", {}).value(), ScriptOutcome::kPresent);
  EXPECT_TRUE(IsNear(Ttl(2), absl::Minutes(1))) << "not its slices: " << Ttl(2);
  EXPECT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kPresent);
  for (size_t i = 2; i < keys_.size(); ++i)
    EXPECT_TRUE(IsNear(Ttl(i), kTtl + ChunkScripts::kSliceSlack)) << Ttl(i);
  client_->Execute({.args = {"DEL", keys_[3]}}).IgnoreError();
  EXPECT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kHalf);
  EXPECT_TRUE(client_->Execute({.args = {"GET", keys_[0]}})->is_nil());
}

TEST_F(ChunkScriptsTest, ChunkWithoutAllItsSlicesIsNeverVisible) {
  client_->Execute({.args = {"DEL", keys_[3]}}).IgnoreError();
  EXPECT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kHalf);
  EXPECT_TRUE(client_->Execute({.args = {"GET", keys_[0]}})->is_nil());
}

TEST_F(ChunkScriptsTest, TouchRenewsAndFindsTheHalfChunk) {
  ASSERT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kDone);
  for (const std::string& key : keys_) client_->Execute({.args = {"PEXPIRE", key, "60000"}}).IgnoreError();
  EXPECT_EQ(scripts_->Touch(keys_, "otherone", {}).value(), ScriptOutcome::kAbsent);
  EXPECT_EQ(scripts_->Touch(keys_, tail_, {}).value(), ScriptOutcome::kDone);
  EXPECT_TRUE(IsNear(Ttl(0), kTtl)) << Ttl(0);
  client_->Execute({.args = {"DEL", keys_[4]}}).IgnoreError();
  EXPECT_EQ(scripts_->Touch(keys_, tail_, {}).value(), ScriptOutcome::kHalf);
  EXPECT_EQ(scripts_->Touch(keys_, tail_, {}).value(), ScriptOutcome::kAbsent);
}

TEST_F(ChunkScriptsTest, LastPinDecidesTheTtl) {
  ASSERT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kDone);
  ASSERT_EQ(scripts_->Pin(keys_, tail_, "first", absl::Hours(5), {}).value(), ScriptOutcome::kDone);
  ASSERT_EQ(scripts_->Pin(keys_, tail_, "second", absl::Hours(3), {}).value(), ScriptOutcome::kDone);
  EXPECT_TRUE(IsNear(Ttl(0), absl::Hours(5))) << Ttl(0);
  EXPECT_TRUE(IsNear(Ttl(1), absl::Hours(5))) << "the pins end with the last one: " << Ttl(1);
  EXPECT_TRUE(IsNear(Ttl(2), absl::Hours(5) + ChunkScripts::kSliceSlack)) << Ttl(2);
  ASSERT_EQ(scripts_->Touch(keys_, tail_, {}).value(), ScriptOutcome::kDone);
  EXPECT_TRUE(IsNear(Ttl(0), absl::Hours(5))) << "a use takes nothing away: " << Ttl(0);
  ASSERT_EQ(scripts_->Pin(keys_, tail_, "first", absl::Hours(1), {}).value(), ScriptOutcome::kDone);
  EXPECT_TRUE(IsNear(Ttl(0), absl::Hours(3))) << "pinning again replaces: " << Ttl(0);
  ASSERT_EQ(scripts_->Unpin(keys_, tail_, "second", {}).value(), ScriptOutcome::kDone);
  ASSERT_EQ(scripts_->Unpin(keys_, tail_, "first", {}).value(), ScriptOutcome::kDone);
  EXPECT_TRUE(IsNear(Ttl(0), kTtl)) << Ttl(0);
  EXPECT_EQ(client_->Execute({.args = {"EXISTS", keys_[1]}})->integer, 0);
}

TEST_F(ChunkScriptsTest, PinOutlivesTheChunkAndHoldsForTheNextOne) {
  ASSERT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kDone);
  ASSERT_EQ(scripts_->Pin(keys_, tail_, "job", absl::Hours(5), {}).value(), ScriptOutcome::kDone);
  client_->Execute({.args = {"DEL", keys_[0]}}).IgnoreError();
  ASSERT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kDone);
  EXPECT_TRUE(IsNear(Ttl(0), absl::Hours(5))) << Ttl(0);
}

TEST_F(ChunkScriptsTest, DiscardSparesTheSlicesOfAVisibleChunk) {
  const auto num_slices = [&] {
    return client_->Execute({.args = {"EXISTS", keys_[2], keys_[3], keys_[4]}})->integer;
  };
  ASSERT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kDone);
  EXPECT_EQ(scripts_->Discard(keys_, tail_, {}).value(), ScriptOutcome::kPresent);
  EXPECT_EQ(num_slices(), 3);
  EXPECT_EQ(scripts_->Discard(keys_, "87654321", {}).value(), ScriptOutcome::kDone) << "of another version";
  EXPECT_EQ(num_slices(), 0);
}

TEST_F(ChunkScriptsTest, HideTakesOnlyTheHeaderItWasAskedFor) {
  ASSERT_EQ(scripts_->Publish(keys_, header_, {}).value(), ScriptOutcome::kDone);
  ASSERT_EQ(scripts_->Pin(keys_, tail_, "job", absl::Hours(5), {}).value(), ScriptOutcome::kDone);
  EXPECT_EQ(scripts_->Hide(chunk_->key(), "otherone", {}).value(), "");
  EXPECT_EQ(scripts_->Hide(chunk_->key(), tail_, {}).value(), header_);
  EXPECT_EQ(client_->Execute({.args = {"EXISTS", keys_[1]}})->integer, 1) << "damage does not end a pin";
  EXPECT_EQ(scripts_->Hide(chunk_->key(), "", {}).value(), "");
  EXPECT_EQ(client_->Execute({.args = {"EXISTS", keys_[1]}})->integer, 0) << "a delete does";
}

}  // namespace
}  // namespace cacheclip
