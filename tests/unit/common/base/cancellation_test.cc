#include "common/base/cancellation.h"

#include "gtest/gtest.h"

namespace cacheclip {
namespace {

TEST(CancellationToken, IsOkUntilSomebodyCancels) {
  CancellationToken token;
  EXPECT_TRUE(token.Check().ok());
  token.Cancel();
  EXPECT_EQ(token.Check().code(), absl::StatusCode::kCancelled);
}

TEST(CancellationToken, CopiesShareTheState) {
  CancellationToken token;
  const CancellationToken copy = token;
  token.Cancel();
  EXPECT_EQ(copy.Check().code(), absl::StatusCode::kCancelled);
}

TEST(CancellationToken, AsksThePollFunctionEachTime) {
  bool is_cancelled = false;
  const CancellationToken token(absl::InfiniteFuture(), [&] { return is_cancelled; });
  EXPECT_TRUE(token.Check().ok());
  is_cancelled = true;
  EXPECT_EQ(token.Check().code(), absl::StatusCode::kCancelled);
}

TEST(CancellationToken, ReportsThePassedDeadline) {
  FakeClock clock;
  const CancellationToken token(clock.Now() + absl::Seconds(1), {}, &clock);
  clock.Advance(absl::Milliseconds(999));
  EXPECT_TRUE(token.Check().ok());
  clock.Advance(absl::Milliseconds(1));
  EXPECT_EQ(token.Check().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(CancellationToken, ACancelledRequestIsNotReportedAsLate) {
  FakeClock clock;
  CancellationToken token(clock.Now(), {}, &clock);
  token.Cancel();
  EXPECT_EQ(token.Check().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace cacheclip
