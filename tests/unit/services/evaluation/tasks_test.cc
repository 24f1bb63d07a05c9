#include "services/evaluation/tasks.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/unit/services/evaluation/eval_task_harness.h"

namespace cacheclip {
namespace {

TEST(Tasks, AreFoundByIdAndAllTogether) {
  const auto two = ParseTasks("seam,vt");
  ASSERT_TRUE(two.ok());
  EXPECT_EQ((*two)[0]->id, "seam");
  EXPECT_EQ((*two)[1]->id, "vt");
  EXPECT_EQ(ParseTasks("all")->size(), AllTasks().size());
  EXPECT_TRUE(ParseTasks("")->empty());
  EXPECT_EQ(FieldOf(ParseTasks("seam,nonsense").status()), "tasks");
}

TEST(Tasks, GiveTheSameSampleForTheSameSeedAndIndex) {
  for (const Task& task : AllTasks()) {
    const std::string id(task.id);
    const EvalSample sample = MakeTestSample(id, 3, 5);
    EXPECT_EQ(sample.task, id);
    EXPECT_EQ(sample.chunks, MakeTestSample(id, 3, 5).chunks) << id;
    EXPECT_NE(sample.chunks, MakeTestSample(id, 4, 5).chunks) << id;
    EXPECT_NE(sample.chunks, MakeTestSample(id, 3, 6).chunks) << id;
    EXPECT_FALSE(sample.question.empty());
    EXPECT_FALSE(sample.instruction.empty());
  }
}

}  // namespace
}  // namespace cacheclip
