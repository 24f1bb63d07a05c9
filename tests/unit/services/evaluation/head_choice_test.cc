#include "services/evaluation/head_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cacheclip {
namespace {

using testing::UnorderedElementsAre;

constexpr int kTokens = 80;  // in four chunks; the first is never chosen
const SelectionOptions kSelection{.budget = 0.2};

// A head that attends to `begin` and the tokens behind it.
HeadScores Head(int layer, int head, int begin, float mass) {
  HeadScores result{{layer, head}, std::vector<float>(kTokens, 0.001f)};
  for (int i = begin; i < begin + 8; ++i) result.scores[static_cast<size_t>(i)] = mass;
  return result;
}

// Two pieces of evidence; head 0.0 finds one, head 1.1 the other, head 2.0 neither but loudly.
HeadObservation Observation(int first, int second) {
  HeadObservation observation{.map = {{20, 20, 20, 20}}};
  observation.heads = {Head(0, 0, first, 0.5f), Head(1, 1, second, 0.5f), Head(2, 0, 62, 0.6f)};
  for (const int begin : {first, second})
    for (int i = begin; i < begin + 8; ++i) observation.evidence.push_back(i);
  return observation;
}

TEST(ChooseHeads, TakesThoseThatFindTheEvidenceTogether) {
  const std::vector<HeadObservation> observations = {Observation(22, 44), Observation(50, 30)};
  const auto choice = ChooseHeads(observations, kSelection);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_THAT(choice->heads, UnorderedElementsAre(HeadId{0, 0}, HeadId{1, 1}));
  EXPECT_EQ(choice->recall, 1);
  EXPECT_EQ(*RecallOf(observations, choice->heads, kSelection), 1);
}

TEST(ChooseHeads, KnowsWhatOneHeadIsWorth) {
  const std::vector<HeadObservation> observations = {Observation(22, 44)};
  EXPECT_EQ(*RecallOf(observations, std::vector<HeadId>{{2, 0}}, {.budget = 0.1}), 0);
  EXPECT_EQ(*RecallOf(observations, std::vector<HeadId>{{0, 0}}, {.budget = 0.1}), 0.5);
}

TEST(ChooseHeads, NeedsSamples) {
  EXPECT_EQ(ChooseHeads({}, kSelection).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RecallOf({}, {}, kSelection).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cacheclip
