#include "common/store/disk_pins.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/store/chunk_store.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

class DiskPinsTest : public testing::Test {
 protected:
  TempFolder temp_;
  DiskPins pins_{temp_.path()};
  const ChunkKey key_ = MakeTestChunk(1)->key();
  const absl::Time now_ = absl::FromUnixSeconds(1000000);
};

TEST_F(DiskPinsTest, HoldsUntilItsExpiryAndThenIsRemoved) {
  ASSERT_TRUE(pins_.Add(key_, "job", now_ + absl::Hours(1), now_).ok());
  EXPECT_TRUE(pins_.IsPinned(key_, now_));
  EXPECT_TRUE(pins_.Pinned(now_).contains(key_));
  EXPECT_TRUE(pins_.IsPinned(key_, now_ + absl::Hours(1) - absl::Seconds(1)));
  EXPECT_FALSE(pins_.IsPinned(key_, now_ + absl::Hours(1)));
  EXPECT_TRUE(std::filesystem::is_empty(temp_.path()));
}

TEST_F(DiskPinsTest, OwnersMayContainAnyByte) {
  const std::string owner("../a/b\0c", 8);
  ASSERT_TRUE(pins_.Add(key_, owner, now_ + absl::Hours(1), now_).ok());
  ASSERT_TRUE(pins_.Add(key_, "..", now_ + absl::Hours(1), now_).ok());
  pins_.Remove(key_, owner);
  EXPECT_TRUE(pins_.IsPinned(key_, now_));
  pins_.Remove(key_, "..");
  EXPECT_FALSE(pins_.IsPinned(key_, now_));
}

TEST_F(DiskPinsTest, ExpiredOwnersDoNotCountAgainstTheLimit) {
  for (int64_t i = 0; i < kMaxPinsPerChunk; ++i)
    ASSERT_TRUE(pins_.Add(key_, std::to_string(i), now_ + absl::Hours(1), now_).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(pins_.Add(key_, "new", now_ + absl::Hours(1), now_)));
  const absl::Time later = now_ + absl::Hours(2);
  EXPECT_TRUE(pins_.Add(key_, "new", later + absl::Hours(1), later).ok());
}

TEST_F(DiskPinsTest, RemoveAllForgetsEveryOwner) {
  ASSERT_TRUE(pins_.Add(key_, "a", now_ + absl::Hours(1), now_).ok());
  ASSERT_TRUE(pins_.Add(key_, "b", now_ + absl::Hours(1), now_).ok());
  pins_.RemoveAll(key_);
  EXPECT_TRUE(pins_.Pinned(now_).empty());
}

}  // namespace
}  // namespace cacheclip
