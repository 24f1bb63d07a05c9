#include "common/redis/circuit_breaker.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace cacheclip {
namespace {

class CircuitBreakerTest : public testing::Test {
 protected:
  bool Enters() { return breaker_.Enter().ok(); }
  void FailOnce() {
    ASSERT_TRUE(Enters());
    breaker_.Fail(absl::UnavailableError("refused"));
  }
  FakeClock clock_;
  CircuitBreaker breaker_{
      {.failures = 3, .backoff = absl::Seconds(1), .max_backoff = absl::Seconds(3), .clock = &clock_}};
};

TEST_F(CircuitBreakerTest, OpensAfterFailuresInARowAndSaysWhy) {
  FailOnce();
  FailOnce();
  ASSERT_TRUE(Enters());
  breaker_.Succeed();
  for (int i = 0; i < 3; ++i) FailOnce();
  const absl::Status refused = breaker_.Enter();
  EXPECT_TRUE(absl::IsUnavailable(refused));
  EXPECT_TRUE(absl::StrContains(refused.message(), "refused")) << refused;
  EXPECT_TRUE(breaker_.is_open());
}

TEST_F(CircuitBreakerTest, LetsOneProbeThroughAfterTheBackoff) {
  for (int i = 0; i < 3; ++i) FailOnce();
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Enters());
  EXPECT_FALSE(Enters()) << "one is enough";
  breaker_.Succeed();
  EXPECT_TRUE(Enters());
  EXPECT_FALSE(breaker_.is_open());
}

TEST_F(CircuitBreakerTest, BackoffDoublesUpToItsLimit) {
  for (int i = 0; i < 3; ++i) FailOnce();
  for (const int seconds : {1, 2, 3, 3}) {
    clock_.Advance(absl::Seconds(seconds) - absl::Milliseconds(1));
    EXPECT_FALSE(Enters()) << seconds;
    clock_.Advance(absl::Milliseconds(1));
    FailOnce();
  }
}

TEST_F(CircuitBreakerTest, ProbeThatSaysNothingMakesWayForTheNext) {
  for (int i = 0; i < 3; ++i) FailOnce();
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Enters());
  breaker_.Withdraw();
  EXPECT_TRUE(Enters());
}

}  // namespace
}  // namespace cacheclip
