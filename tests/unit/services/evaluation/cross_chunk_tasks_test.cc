#include <gtest/gtest.h>

#include "tests/unit/services/evaluation/eval_task_harness.h"

namespace cacheclip {
namespace {

// The chunk that begins or goes on with the answer; -1 if none has it.
int ChunkWith(const EvalSample& sample, const std::string& text) {
  for (size_t i = 0; i < sample.chunks.size(); ++i)
    if (sample.chunks[i].find(text) != std::string::npos) return static_cast<int>(i);
  return -1;
}

TEST(SeamTask, CutsTheAskedSentenceBetweenTwoChunks) {
  for (int index = 0; index < 8; ++index) {
    const EvalSample sample = MakeTestSample("seam", index);
    const int second = ChunkWith(sample, "is: " + sample.references[0] + ".");
    ASSERT_GT(second, 0) << "never in the first chunk";
    EXPECT_TRUE(sample.chunks[second].starts_with("is: " + sample.references[0]));
    const std::string& before = sample.chunks[second - 1];
    const std::string key = before.substr(before.rfind(' ') + 1);
    EXPECT_NE(sample.question.find(" " + key + " "), std::string::npos) << before;
  }
}

TEST(HeadingTask, PutsTheHeadingAtTheEndOfTheChunkBefore) {
  for (int index = 0; index < 8; ++index) {
    const EvalSample sample = MakeTestSample("heading", index);
    const int second = ChunkWith(sample, "in the year " + sample.references[0]);
    ASSERT_GT(second, 0);
    const std::string& before = sample.chunks[second - 1];
    const std::string heading = before.substr(before.rfind("## "));
    const std::string name = heading.substr(3, heading.size() - 4);  // without "## " and the line's end
    EXPECT_NE(sample.question.find(name.substr(4)), std::string::npos) << heading;
  }
}

TEST(TwoHopTask, NamesTheCaptainAndTheTownInDifferentChunks) {
  for (int index = 0; index < 8; ++index) {
    const EvalSample sample = MakeTestSample("two_hop", index);
    const int town = ChunkWith(sample, "was born in the town of " + sample.references[0] + ".");
    const int captain = ChunkWith(sample, sample.answer_prefix + " ");
    ASSERT_GE(town, 0);
    ASSERT_GE(captain, 0);
    EXPECT_NE(town, captain);
  }
}

}  // namespace
}  // namespace cacheclip
