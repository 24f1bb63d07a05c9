#include "common/store/object/retry.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cacheclip {
namespace {

class RetryTest : public testing::Test {
 protected:
  RetryOptions Options() {
    return {.max_attempts = 4,
            .first_backoff = absl::Milliseconds(100),
            .max_backoff = absl::Milliseconds(300),
            .clock = &clock_,
            .pause =
                [this](absl::Duration pause) {
                  pauses_.push_back(pause);
                  clock_.Advance(pause);
                },
            .random = [] { return 0.5; }};
  }
  CancellationToken Token(absl::Duration limit) {
    return CancellationToken(clock_.Now() + limit, {}, &clock_);
  }

  FakeClock clock_;
  std::vector<absl::Duration> pauses_;
  int num_attempts_ = 0;
};

TEST_F(RetryTest, RepeatsWhatIsUnavailableUntilItWorks) {
  const absl::Status status = Retrier(Options()).Run(Token(absl::Hours(1)), [&] {
    return ++num_attempts_ < 3 ? absl::UnavailableError("busy") : absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(num_attempts_, 3);
}

TEST_F(RetryTest, PausesDoubleUpToTheLimitAndAreARandomPartOfIt) {
  const absl::Status status =
      Retrier(Options()).Run(Token(absl::Hours(1)), [] { return absl::UnavailableError("busy"); });
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_NE(status.message().find("4 times"), absl::string_view::npos) << status;
  EXPECT_EQ(pauses_, (std::vector<absl::Duration>{absl::Milliseconds(50), absl::Milliseconds(100),
                                                  absl::Milliseconds(150)}));
}

TEST_F(RetryTest, AnswersAreNotRepeated) {
  for (const absl::Status& answer :
       {absl::NotFoundError("gone"), absl::PermissionDeniedError("no"), absl::DataLossError("bad")}) {
    num_attempts_ = 0;
    EXPECT_EQ(Retrier(Options()).Run(Token(absl::Hours(1)), [&] { return ++num_attempts_, answer; }), answer);
    EXPECT_EQ(num_attempts_, 1);
  }
}

TEST_F(RetryTest, NoPauseGoesBeyondTheDeadline) {
  const absl::Status status = Retrier(Options()).Run(
      Token(absl::Milliseconds(100)), [&] { return ++num_attempts_, absl::UnavailableError("busy"); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_NE(status.message().find("busy"), absl::string_view::npos) << "the reason is kept";
  EXPECT_EQ(num_attempts_, 2);
}

TEST_F(RetryTest, ACancelledCallIsNotTriedAtAll) {
  CancellationToken token = Token(absl::Hours(1));
  token.Cancel();
  EXPECT_TRUE(
      absl::IsCancelled(Retrier(Options()).Run(token, [&] { return ++num_attempts_, absl::OkStatus(); })));
  EXPECT_EQ(num_attempts_, 0);
}

}  // namespace
}  // namespace cacheclip
