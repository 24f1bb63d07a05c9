#include "common/catalog/validate.h"

#include <gtest/gtest.h>

#include <string>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(Utf8, AcceptsWhatIsWellFormed) {
  for (const std::string text : {"", "plain", "ü", "日本語", "🙂", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"})
    EXPECT_TRUE(IsValidUtf8(text)) << text;
}

TEST(Utf8, RefusesWhatIsNot) {
  for (const std::string text :
       {"\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x82", "\xc3("})
    EXPECT_FALSE(IsValidUtf8(text));
}

TEST(PageToken, IsOpaqueAndComesBack) {
  const std::string key("a\0/ü'", 6);
  EXPECT_EQ(DecodePageToken(EncodePageToken(key)).value(), key);
  EXPECT_EQ(DecodePageToken("").value(), "");
  for (const char* token : {"a", "zz", "AA", "0g"})
    EXPECT_EQ(FieldOf(DecodePageToken(token).status()), "page_token") << token;
}

TEST(PageSize, IsDefaultedAndCut) {
  EXPECT_EQ(EffectivePageSize(0).value(), kDefaultPageSize);
  EXPECT_EQ(EffectivePageSize(7).value(), 7);
  EXPECT_EQ(EffectivePageSize(1 << 30).value(), kMaxPageSize);
  EXPECT_FALSE(EffectivePageSize(-1).ok());
}

TEST(ChunkId, IsTheWholeKeyInLowerCaseHex) {
  EXPECT_TRUE(ValidateChunkId(std::string(64, 'f')).ok());
  EXPECT_FALSE(ValidateChunkId(std::string(64, 'F')).ok());
  EXPECT_FALSE(ValidateChunkId(std::string(63, 'f')).ok());
  EXPECT_FALSE(ValidateChunkId("").ok());
}

}  // namespace
}  // namespace cacheclip
