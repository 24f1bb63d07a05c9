#include "common/store/remote/byte_budget.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "absl/time/clock.h"

namespace cacheclip {
namespace {

TEST(ByteBudget, RefusesWhatFindsNoRoomInTime) {
  ByteBudget budget(100);
  const auto first = budget.Reserve(60, absl::InfiniteFuture());
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(budget.Reserve(41, absl::Now()).status()));
  EXPECT_TRUE(budget.Reserve(40, absl::Now()).ok());
  EXPECT_EQ(budget.reserved_bytes(), 60);
}

TEST(ByteBudget, LetsAWaitingCallerThroughWhenBytesAreGivenBack) {
  ByteBudget budget(100);
  std::optional<ByteBudget::Reservation> first(*budget.Reserve(100, absl::InfiniteFuture()));
  std::thread waiter([&] { EXPECT_TRUE(budget.Reserve(100, absl::InfiniteFuture()).ok()); });
  first.reset();
  waiter.join();
  EXPECT_EQ(budget.reserved_bytes(), 0);
}

TEST(ByteBudget, MoreThanTheBudgetGoesAlone) {
  ByteBudget budget(100);
  const auto large = budget.Reserve(1000, absl::Now());
  ASSERT_TRUE(large.ok());
  EXPECT_FALSE(budget.Reserve(1, absl::Now()).ok());
}

}  // namespace
}  // namespace cacheclip
