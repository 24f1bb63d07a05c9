#include "common/engine/selector_call.h"

#include <gtest/gtest.h>

#include "tests/support/fake_selector.h"

namespace cacheclip {
namespace {

const ContextMap kContext{{10, 10}};
const SelectionOptions kSelection{.budget = 0.5};

SelectorAnswer Ask(FakeSelector::Answer answer, Clock* clock = RealClock(),
                   const CancellationToken& cancellation = CancellationToken()) {
  FakeSelector selector(std::move(answer));
  return AskSelector(&selector, {}, kContext, kSelection, absl::Seconds(2), cancellation, clock);
}

std::string ReasonFor(const absl::Status& status) {
  return Ask([&](const auto&, const auto&) { return status; }).fallback->reason;
}

TEST(SelectorCall, PassesAGoodAnswerOn) {
  const SelectorAnswer answer = Ask([](const auto&, const auto&) {
    return SelectResult{.indices = {10, 12}, .num_context_tokens = 20, .stale_mass_share = 0.3};
  });
  EXPECT_EQ(answer.stale_mass_share, 0.3);
  EXPECT_FALSE(answer.fallback.has_value());
  EXPECT_EQ(answer.indices, (std::vector<int32_t>{10, 12}));
}

TEST(SelectorCall, NamesWhatWentWrong) {
  EXPECT_EQ(ReasonFor(absl::UnavailableError("gone")), "selector_unavailable");
  EXPECT_EQ(ReasonFor(absl::DeadlineExceededError("slow")), "selector_late");
  EXPECT_EQ(ReasonFor(absl::FailedPreconditionError("another model")), "selector_refused");
  EXPECT_EQ(ReasonFor(absl::InternalError("bug")), "selector_failed");
  const SelectorAnswer none =
      AskSelector(nullptr, {}, kContext, kSelection, absl::Seconds(2), CancellationToken(), RealClock());
  EXPECT_EQ(none.fallback->reason, "selector_not_configured");
}

TEST(SelectorCall, DoesNotTrustNonsense) {
  const SelectorAnswer answer = Ask([](const auto&, const auto&) {
    return SelectResult{.indices = {12, 10}, .num_context_tokens = 20};
  });
  EXPECT_EQ(answer.fallback->reason, "selector_bad_answer");
  EXPECT_TRUE(answer.indices.empty());
}

TEST(SelectorCall, ALateSelectorIsToldSoByItsToken) {
  FakeClock clock;
  const SelectorAnswer answer = Ask(
      [&](const auto&, const CancellationToken& token) -> absl::StatusOr<SelectResult> {
        EXPECT_TRUE(token.Check().ok());
        clock.Advance(absl::Seconds(3));
        return token.Check();
      },
      &clock);
  EXPECT_EQ(answer.fallback->reason, "selector_late");
}

}  // namespace
}  // namespace cacheclip
