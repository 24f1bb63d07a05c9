#include "common/telemetry/stage.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

TEST(Stage, EveryStageHasANameOfItsOwn) {
  std::set<std::string> names;
  for (Stage stage : kAllStages) names.emplace(StageName(stage));
  EXPECT_EQ(names.size(), std::size(kAllStages));
  EXPECT_EQ(names.count("unknown"), 0);
}

}  // namespace
}  // namespace cacheclip
