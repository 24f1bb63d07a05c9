#include "common/engine/running_requests.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kDefault = absl::Seconds(30);

TEST(RunningRequests, RefusesAnIdThatRunsAndTakesItAgainAfterwards) {
  RunningRequests requests(RealClock());
  auto first = requests.Register("a", CancellationToken(), kDefault);
  ASSERT_TRUE(first.ok());
  const auto second = requests.Register("a", CancellationToken(), kDefault);
  EXPECT_TRUE(absl::IsAlreadyExists(second.status()));
  EXPECT_EQ(FieldOf(second.status()), "request_id");
  first->reset();
  EXPECT_TRUE(requests.Register("a", CancellationToken(), kDefault).ok());
}

TEST(RunningRequests, MakesDistinctIds) {
  RunningRequests requests(RealClock());
  const auto a = requests.Register("", CancellationToken(), kDefault);
  const auto b = requests.Register("", CancellationToken(), kDefault);
  EXPECT_FALSE((*a)->request_id().empty());
  EXPECT_NE((*a)->request_id(), (*b)->request_id());
}

TEST(RunningRequests, AbortCancelsThatRequestOnly) {
  RunningRequests requests(RealClock());
  const auto a = requests.Register("a", CancellationToken(), kDefault);
  const auto b = requests.Register("b", CancellationToken(), kDefault);
  ASSERT_TRUE(requests.Abort("a").ok());
  EXPECT_TRUE(absl::IsCancelled((*a)->cancellation().Check()));
  EXPECT_TRUE((*a)->was_aborted());
  EXPECT_TRUE((*b)->cancellation().Check().ok());
  EXPECT_TRUE(absl::IsNotFound(requests.Abort("c")));
}

TEST(RunningRequests, FollowsTheCallersCancellation) {
  RunningRequests requests(RealClock());
  CancellationToken caller;
  const auto a = requests.Register("a", caller, kDefault);
  caller.Cancel();
  EXPECT_TRUE(absl::IsCancelled((*a)->cancellation().Check()));
  EXPECT_FALSE((*a)->was_aborted());
}

TEST(RunningRequests, ACallerWithoutADeadlineGetsTheDefault) {
  FakeClock clock;
  RunningRequests requests(&clock);
  const CancellationToken own_deadline(clock.Now() + absl::Seconds(5), {}, &clock);
  const auto patient = requests.Register("a", CancellationToken(), kDefault);
  const auto hurried = requests.Register("b", own_deadline, kDefault);
  clock.Advance(absl::Seconds(6));
  EXPECT_TRUE((*patient)->cancellation().Check().ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded((*hurried)->cancellation().Check()));
  clock.Advance(kDefault);
  EXPECT_TRUE(absl::IsDeadlineExceeded((*patient)->cancellation().Check()));
}

}  // namespace
}  // namespace cacheclip
