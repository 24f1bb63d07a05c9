#include <gtest/gtest.h>

#include "tests/unit/services/evaluation/eval_task_harness.h"

namespace cacheclip {
namespace {

class NeedleTask : public testing::TestWithParam<const char*> {};

TEST_P(NeedleTask, StandsWholeInTheContextAndIsAskedFor) {
  for (int index = 0; index < 5; ++index) {
    const EvalSample sample = MakeTestSample(GetParam(), index);
    ASSERT_EQ(sample.chunks.size(), 6);
    ASSERT_FALSE(sample.references.empty());
    for (const std::string& value : sample.references) {
      EXPECT_EQ(ChunksThatHold(sample, " is: " + value + "."), 1) << value;
      EXPECT_EQ(sample.question.find(value), std::string::npos) << "the question gives nothing away";
    }
    EXPECT_EQ(ScoreAnswer(sample, sample.chunks[0] + sample.chunks[1] + sample.chunks[2] + sample.chunks[3] +
                                      sample.chunks[4] + sample.chunks[5]),
              1);
  }
}

INSTANTIATE_TEST_SUITE_P(All, NeedleTask,
                         testing::Values("niah_single_1", "niah_single_2", "niah_single_3", "niah_multikey_1",
                                         "niah_multikey_2", "niah_multikey_3", "niah_multivalue",
                                         "niah_multiquery"));

TEST(NeedleTasks, DifferInWhatSurroundsTheNeedle) {
  const std::string needle = "One of the special magic ";
  const auto num_needles = [&](const std::string& task) {
    int count = 0;
    for (const std::string& chunk : MakeTestSample(task).chunks)
      for (size_t at = chunk.find(needle); at != std::string::npos; at = chunk.find(needle, at + 1)) ++count;
    return count;
  };
  EXPECT_EQ(num_needles("niah_single_2"), 1);
  EXPECT_EQ(num_needles("niah_multikey_1"), 4);
  EXPECT_EQ(num_needles("niah_multivalue"), 2);
  EXPECT_GT(num_needles("niah_multikey_2"), 30);
  EXPECT_GT(ChunksThatHold(MakeTestSample("niah_single_1"), "The grass is green."), 0);
}

}  // namespace
}  // namespace cacheclip
