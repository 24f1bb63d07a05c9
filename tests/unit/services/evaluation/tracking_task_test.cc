#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/services/evaluation/eval_task_harness.h"

namespace cacheclip {
namespace {

TEST(TrackingTask, ChainsAssignmentsThroughTheContext) {
  for (int index = 0; index < 5; ++index) {
    const EvalSample sample = MakeTestSample("vt", index);
    ASSERT_GE(sample.references.size(), 2);
    std::string context;
    for (const std::string& chunk : sample.chunks) absl::StrAppend(&context, chunk, "\n");
    size_t last = 0;
    for (size_t hop = 1; hop < sample.references.size(); ++hop) {
      const size_t at = context.find(
          absl::StrCat("VAR ", sample.references[hop], " = VAR ", sample.references[hop - 1], "."));
      ASSERT_NE(at, std::string::npos);
      EXPECT_GT(at, last) << "a variable is used after it was assigned";
      last = at;
    }
  }
}

}  // namespace
}  // namespace cacheclip
