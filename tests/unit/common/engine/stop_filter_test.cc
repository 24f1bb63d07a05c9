#include "common/engine/stop_filter.h"

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

TEST(StopFilter, PassesTextOnAtOnceWithoutStopStrings) {
  StopFilter filter({});
  EXPECT_EQ(filter.Push("all of it"), "all of it");
  EXPECT_EQ(filter.Flush(), "");
  EXPECT_FALSE(filter.stopped());
}

TEST(StopFilter, EndsBeforeAStopStringInsideOneText) {
  StopFilter filter({"END"});
  EXPECT_EQ(filter.Push("answer END and more"), "answer ");
  EXPECT_TRUE(filter.stopped());
  EXPECT_EQ(filter.Push("nothing after it"), "");
  EXPECT_EQ(filter.Flush(), "");
}

TEST(StopFilter, HoldsBackTextThatMayStartAStopStringAcrossPieces) {
  StopFilter filter({"\n\nUser:"});
  EXPECT_EQ(filter.Push("yes.\n"), "yes.");
  EXPECT_EQ(filter.Push("\nUs"), "");
  EXPECT_EQ(filter.Push("er: hi"), "");
  EXPECT_TRUE(filter.stopped());
}

TEST(StopFilter, ReleasesHeldTextOnceItCannotBeAStopString) {
  StopFilter filter({"END"});
  EXPECT_EQ(filter.Push("the E"), "the ");
  EXPECT_EQ(filter.Push("N"), "");
  EXPECT_EQ(filter.Push("GINE"), "ENGIN");  // the last E may begin END again
  EXPECT_EQ(filter.Flush(), "E");
}

TEST(StopFilter, TakesTheEarliestOfSeveralStopStrings) {
  StopFilter filter({"later", "now"});
  EXPECT_EQ(filter.Push("right now or later"), "right ");
}

TEST(StopFilter, FindsAStopStringThatOverlapsAFailedStart) {
  StopFilter filter({"aab"});
  EXPECT_EQ(filter.Push("a"), "");
  EXPECT_EQ(filter.Push("a"), "");
  EXPECT_EQ(filter.Push("a"), "a");
  EXPECT_EQ(filter.Push("b"), "");
  EXPECT_TRUE(filter.stopped());
}

}  // namespace
}  // namespace cacheclip
