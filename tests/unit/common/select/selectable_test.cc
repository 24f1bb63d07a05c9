#include "common/select/selectable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/base/status.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;

TEST(BudgetTokens, IsExactWhereFloatingPointIsNot) {
  EXPECT_EQ(BudgetTokens(0.29, 100), 29);  // 0.29 * 100 < 29 in floating point
  EXPECT_EQ(BudgetTokens(0.57, 100), 57);
  EXPECT_EQ(BudgetTokens(0.2, 449), 89);
  EXPECT_EQ(BudgetTokens(0.0, 449), 0);
  EXPECT_EQ(BudgetTokens(1.0, 449), 449);
  EXPECT_EQ(BudgetTokens(0.5, 0), 0);
}

TEST(BudgetTokens, NeverExceedsTheRatio) {
  for (int32_t num_tokens = 1; num_tokens < 300; ++num_tokens) {
    for (int percent = 0; percent <= 100; ++percent) {
      const double budget = percent / 100.0;
      const int32_t count = BudgetTokens(budget, num_tokens);
      EXPECT_LE(static_cast<double>(count) / num_tokens, budget);
      EXPECT_TRUE(count == num_tokens || static_cast<double>(count + 1) / num_tokens > budget);
    }
  }
}

TEST(Selectable, LeavesTheFirstChunkOutButCountsItsTokens) {
  const Selectable selectable = FindSelectable({{10, 10}}, {.budget = 0.5}).value();
  EXPECT_THAT(selectable.chunks, ElementsAre(IndexRange{10, 20}));
  EXPECT_EQ(selectable.budget_tokens, 10);
}

TEST(Selectable, BudgetIsCutToWhatMayBeChosen) {
  EXPECT_EQ(FindSelectable({{10, 2}}, {.budget = 0.5}).value().budget_tokens, 2);
}

TEST(Selectable, FullBudgetAndForeignPrefixIncludeTheFirstChunk) {
  EXPECT_THAT(FindSelectable({{4, 6}}, {.budget = 1.0}).value().chunks,
              ElementsAre(IndexRange{0, 4}, IndexRange{4, 10}));
  const SelectionOptions foreign{.budget = 0.1, .first_chunk_selectable = true};
  EXPECT_EQ(FindSelectable({{4, 6}}, foreign).value().chunks.size(), 2u);
}

TEST(Selectable, HeadsGrowEvenlyAndEarlierChunksTakeTheRemainder) {
  const std::vector<IndexRange> chunks = {{0, 50}, {50, 100}, {100, 150}};
  EXPECT_THAT(HeadLengths(chunks, 11, 100), ElementsAre(4, 4, 3));
  EXPECT_THAT(HeadLengths(chunks, 2, 100), ElementsAre(1, 1, 0));
}

TEST(Selectable, ShortChunkLeavesItsShareToTheOthers) {
  const std::vector<IndexRange> chunks = {{0, 50}, {50, 53}, {53, 100}};
  EXPECT_THAT(HeadLengths(chunks, 20, 100), ElementsAre(9, 3, 8));
}

TEST(Selectable, HeadsStopAtTheirBound) {
  const std::vector<IndexRange> chunks = {{0, 50}, {50, 100}};
  EXPECT_THAT(HeadLengths(chunks, 90, 8), ElementsAre(8, 8));
}

struct BadOptions {
  SelectionOptions options;
  const char* field;
};

TEST(SelectionOptions, EachBadValueIsRefusedByField) {
  const BadOptions cases[] = {
      {{.budget = -0.1}, "options.budget"},
      {{.budget = 1.01}, "options.budget"},
      {{.budget = std::numeric_limits<double>::quiet_NaN()}, "options.budget"},
      {{.seam_tokens = -1}, "options.seam_tokens"},
      {{.follow = -0.1}, "options.follow"},
      {{.follow = 1.0}, "options.follow"},
      {{.coverage = 0.0}, "options.coverage"},
      {{.coverage = 1.1}, "options.coverage"},
      {{.window = 0}, "options.window"},
      {{.window = SelectionOptions::kMaxWindow + 1}, "options.window"},
      {{.paper_min_candidates = 0}, "options.paper_min_candidates"},
      {{.window = 4, .paper_min_candidates = 5}, "options.paper_min_candidates"},
  };
  for (const BadOptions& bad : cases) {
    const absl::Status status = ValidateSelectionOptions(bad.options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.field;
    EXPECT_EQ(FieldOf(status), bad.field);
  }
}

}  // namespace
}  // namespace cacheclip
