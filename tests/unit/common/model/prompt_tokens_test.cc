#include "common/model/prompt_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cacheclip {
namespace {

using testing::ElementsAre;

PromptTokens Prompt() {
  return {.prefix_ids = {1, 2},
          .chunk_ids = {{10, 11, 12}, {}, {20, 21}},
          .suffix_ids = {30, 31},
          .question_end = 2};
}

TEST(PromptTokens, CountsItsParts) {
  EXPECT_EQ(Prompt().prefix_size(), 2);
  EXPECT_EQ(Prompt().context_size(), 5);
  EXPECT_EQ(Prompt().suffix_begin(), 7);
  EXPECT_EQ(Prompt().size(), 9);
  EXPECT_THAT(Prompt().context_map().chunk_lengths, ElementsAre(3, 0, 2));
  EXPECT_EQ(PromptTokens().size(), 0);
}

TEST(FullRows, AreTheConcatenationAtItsOwnPositions) {
  const Rows rows = FullRows(Prompt());
  EXPECT_THAT(rows.ids, ElementsAre(1, 2, 10, 11, 12, 20, 21, 30, 31));
  EXPECT_THAT(rows.slots, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(rows.positions, rows.slots);
}

TEST(SelectiveRows, AreTheChosenTokensThenTheSuffix) {
  const std::vector<int32_t> indices = {1, 3};
  const Rows rows = SelectiveRows(Prompt(), indices);
  EXPECT_THAT(rows.ids, ElementsAre(11, 20, 30, 31));
  EXPECT_THAT(rows.slots, ElementsAre(3, 5, 7, 8));
  EXPECT_EQ(rows.positions, rows.slots);
  EXPECT_THAT(SelectiveRows(Prompt(), {}).ids, ElementsAre(30, 31));
}

TEST(Rows, AppendKeepsSlotAndPositionApart) {
  Rows rows;
  rows.Append(5, 8, 3);
  rows.Append(std::vector<int32_t>{6, 7}, 9, 100);
  EXPECT_THAT(rows.ids, ElementsAre(5, 6, 7));
  EXPECT_THAT(rows.slots, ElementsAre(8, 9, 10));
  EXPECT_THAT(rows.positions, ElementsAre(3, 100, 101));
  EXPECT_EQ(rows.size(), 3);
}

}  // namespace
}  // namespace cacheclip
