#include "common/text/white_space.h"

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

TEST(WhiteSpace, CountsUnicodeSpacesInBytes) {
  EXPECT_EQ(LeadingSpaceBytes(" \t\u00a0\u3000\u2028x "), 10u);
  EXPECT_EQ(TrailingSpaceBytes(" x\u0085\u2003\n"), 6u);
}

TEST(WhiteSpace, OtherCharactersAreNotSpace) {
  EXPECT_EQ(LeadingSpaceBytes("\u200b zero width"), 0u);
  EXPECT_EQ(TrailingSpaceBytes("🙂"), 0u);
  EXPECT_EQ(LeadingSpaceBytes(""), 0u);
  EXPECT_EQ(TrailingSpaceBytes("\n\n"), 2u);
}

}  // namespace
}  // namespace cacheclip
