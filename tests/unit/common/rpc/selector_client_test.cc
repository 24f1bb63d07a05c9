#include "common/rpc/selector_client.h"

#include <gtest/gtest.h>

#include "common/base/clock.h"

namespace cacheclip {
namespace {

TEST(RpcTokenSelector, IsUnavailableUntilItIsConnected) {
  RpcTokenSelector selector({});
  EXPECT_EQ(selector.Select({}, CancellationToken()).status().code(), absl::StatusCode::kUnavailable);
}

TEST(RpcTokenSelector, FailsAtOnceWhenNobodyListens) {
  RpcTokenSelector selector({.timeout = absl::Hours(1)});
  selector.Connect(*MakeChannel({.target = "127.0.0.1:1"}));
  EXPECT_EQ(selector.Select({}, CancellationToken()).status().code(), absl::StatusCode::kUnavailable);
}

TEST(RpcTokenSelector, DoesNotCallForACancelledRequest) {
  RpcTokenSelector selector({});
  CancellationToken cancellation;
  cancellation.Cancel();
  EXPECT_EQ(selector.Select({}, cancellation).status().code(), absl::StatusCode::kCancelled);
}

TEST(RpcTokenSelector, TakesTheEarlierOfTimeoutAndDeadline) {
  FakeClock past(absl::UnixEpoch());  // now + timeout is long gone for gRPC, whatever the request's deadline
  RpcTokenSelector selector({.timeout = absl::Seconds(1), .clock = &past});
  selector.Connect(*MakeChannel({.target = "127.0.0.1:1"}));
  EXPECT_EQ(selector.Select({}, CancellationToken()).status().code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace cacheclip
