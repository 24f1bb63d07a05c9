#include "common/store/object/object_names.h"

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

ChunkKey SomeKey() {
  ChunkKey key;
  for (size_t i = 0; i < key.digest.size(); ++i) key.digest[i] = static_cast<uint8_t>(0xab + i);
  return key;
}

TEST(ObjectNames, NamesAChunkAndKnowsItAgain) {
  const std::string name = ChunkObjectName(SomeKey());
  EXPECT_EQ(name, "chunks/ab/" + SomeKey().ToHex() + ".ccv");
  EXPECT_EQ(ParseChunkObjectName(name), SomeKey());
}

TEST(ObjectNames, OtherNamesAreNoChunks) {
  const std::string name = ChunkObjectName(SomeKey());
  EXPECT_FALSE(ParseChunkObjectName("").has_value());
  EXPECT_FALSE(ParseChunkObjectName(name + "x").has_value());
  EXPECT_FALSE(ParseChunkObjectName("chunks/cd" + name.substr(9)).has_value()) << "in the wrong folder";
  EXPECT_FALSE(ParseChunkObjectName(name.substr(0, name.size() - 1) + "w").has_value());
  std::string upper = name;
  upper[10] = 'A';
  EXPECT_FALSE(ParseChunkObjectName(upper).has_value());
}

TEST(ObjectNames, EveryOwnerHasAPinOfItsOwnWhateverItIsCalled) {
  const std::string pin = PinObjectName(SomeKey(), "../../etc/passwd\n");
  EXPECT_TRUE(pin.starts_with(PinObjectsPrefix(SomeKey())));
  EXPECT_EQ(pin.size(), PinObjectsPrefix(SomeKey()).size() + 64);
  EXPECT_EQ(pin.find(".."), std::string::npos);
  EXPECT_NE(pin, PinObjectName(SomeKey(), "another"));
}

}  // namespace
}  // namespace cacheclip
