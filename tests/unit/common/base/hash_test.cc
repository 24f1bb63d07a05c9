#include "common/base/hash.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace cacheclip {
namespace {

std::string HexOf(const std::string& text) {
  return ToHex(Sha256().AddBytes(text.data(), text.size()).Finish());
}

// The example vectors of FIPS 180-2, appendix B, and the empty message.
TEST(Sha256, MatchesTheNistVectors) {
  EXPECT_EQ(HexOf(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HexOf("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(HexOf(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnHowBytesAreHandedOver) {
  const std::string text(1000, 'x');
  Sha256 hash;
  for (size_t at = 0; at < text.size(); at += 7)
    hash.AddBytes(text.data() + at, std::min<size_t>(7, text.size() - at));
  EXPECT_EQ(ToHex(hash.Finish()), HexOf(text));
}

TEST(Sha256, FramedFieldsNeverRunIntoEachOther) {
  EXPECT_NE(Sha256().AddField("ab").AddField("c").Finish(), Sha256().AddField("a").AddField("bc").Finish());
  EXPECT_NE(Sha256().AddField("ab").Finish(), Sha256().AddField("ab").AddField("").Finish());
  EXPECT_EQ(Sha256().AddField("ab").AddField("c").Finish(), Sha256().AddField("ab").AddField("c").Finish());
}

TEST(Sha256, IntegersAreEightLittleEndianBytes) {
  const std::string bytes("\x08\x07\x06\x05\x04\x03\x02\x01", 8);
  EXPECT_EQ(ToHex(Sha256().AddInteger(0x0102030405060708).Finish()), HexOf(bytes));
}

TEST(Hex, GoesThereAndBack) {
  const std::vector<uint8_t> bytes = {0x00, 0x7f, 0x80, 0xff};
  EXPECT_EQ(ToHex(bytes), "007f80ff");
  std::vector<uint8_t> parsed(4);
  EXPECT_TRUE(FromHex("007F80ff", parsed));
  EXPECT_EQ(parsed, bytes);
}

TEST(Hex, RefusesWrongLengthAndOtherCharacters) {
  std::vector<uint8_t> out(2, 0xaa);
  for (const char* bad : {"", "00", "00000", "000000", "00g0", "0x00", "00 0", "-100"})
    EXPECT_FALSE(FromHex(bad, out)) << bad;
  EXPECT_EQ(out, std::vector<uint8_t>(2, 0xaa));
}

TEST(Checksum64, IsXxh3WithSeedZero) {
  EXPECT_EQ(Checksum64("", 0), 0x2d06800538d394c2u);  // the constant of the XXH3 specification
}

TEST(Checksum64, NoticesASingleFlippedBit) {
  std::string bytes(4096, '\x5a');
  const uint64_t before = Checksum64(bytes.data(), bytes.size());
  for (size_t at : {size_t{0}, size_t{2048}, size_t{4095}}) {
    bytes[at] ^= 1;
    EXPECT_NE(Checksum64(bytes.data(), bytes.size()), before) << at;
    bytes[at] ^= 1;
  }
  EXPECT_EQ(Checksum64(bytes.data(), bytes.size()), before);
}

}  // namespace
}  // namespace cacheclip
