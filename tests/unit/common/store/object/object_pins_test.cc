#include "common/store/object/object_pins.h"

#include <gtest/gtest.h>

#include <string>

#include "common/store/chunk_store.h"
#include "tests/support/object_harness.h"

namespace cacheclip {
namespace {

class ObjectPinsTest : public testing::Test {
 protected:
  absl::Status Pin(const std::string& owner, absl::Duration duration) {
    return pins_.Pin(key_, owner, clock_.Now() + duration, NoDeadline());
  }
  bool IsPinned() { return pins_.IsPinned(key_, NoDeadline()).value(); }
  size_t NumObjects() { return client_->List("pins/", "", 1000, NoDeadline())->objects.size(); }

  TempFolder folder_;
  FakeClock clock_;
  std::unique_ptr<ObjectClient> client_ = FolderObjectClient::Open({.folder = folder_.path()}).value();
  ObjectPins pins_{client_.get(), &clock_};
  const ChunkKey key_ = MakeTestChunk(1)->key();
};

TEST_F(ObjectPinsTest, HoldUntilTheyExpireAndAreThenRemoved) {
  ASSERT_TRUE(Pin("job", absl::Hours(1)).ok());
  EXPECT_TRUE(IsPinned());
  clock_.Advance(absl::Minutes(59));
  EXPECT_TRUE(IsPinned());
  clock_.Advance(absl::Minutes(1));
  EXPECT_FALSE(IsPinned());
  EXPECT_EQ(NumObjects(), 0u);
}

TEST_F(ObjectPinsTest, AreSeenByOtherProcesses) {
  ASSERT_TRUE(Pin("job", absl::Hours(1)).ok());
  const auto other_client = FolderObjectClient::Open({.folder = folder_.path()}).value();
  ObjectPins other(other_client.get(), &clock_);
  EXPECT_TRUE(other.IsPinned(key_, NoDeadline()).value());
  ASSERT_TRUE(other.Unpin(key_, "job", NoDeadline()).ok());
  EXPECT_FALSE(IsPinned());
}

TEST_F(ObjectPinsTest, ExpiredOwnersMakeRoomForOthers) {
  for (int i = 0; i < kMaxPinsPerChunk; ++i)
    ASSERT_TRUE(Pin("owner " + std::to_string(i), absl::Hours(1)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Pin("one more", absl::Hours(1))));
  EXPECT_TRUE(Pin("owner 3", absl::Hours(5)).ok());
  clock_.Advance(absl::Hours(2));
  EXPECT_TRUE(Pin("one more", absl::Hours(1)).ok());
  EXPECT_EQ(NumObjects(), 2u);
}

TEST_F(ObjectPinsTest, AnUnreadablePinCountsForNothing) {
  ASSERT_TRUE(
      client_->Put(PinObjectName(key_, "job"), BytesOf("for ever"), PutMode::kReplace, NoDeadline()).ok());
  EXPECT_FALSE(IsPinned());
  EXPECT_EQ(NumObjects(), 0u);
}

TEST_F(ObjectPinsTest, RemovesAllOfAChunkOnly) {
  ASSERT_TRUE(Pin("a", absl::Hours(1)).ok());
  ASSERT_TRUE(Pin("b", absl::Hours(1)).ok());
  const ChunkKey other = MakeTestChunk(2)->key();
  ASSERT_TRUE(pins_.Pin(other, "a", clock_.Now() + absl::Hours(1), NoDeadline()).ok());
  ASSERT_TRUE(pins_.RemoveAll(key_, NoDeadline()).ok());
  EXPECT_FALSE(IsPinned());
  EXPECT_TRUE(pins_.IsPinned(other, NoDeadline()).value());
}

}  // namespace
}  // namespace cacheclip
