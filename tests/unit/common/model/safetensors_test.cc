#include "common/model/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/safetensors_file.h"

namespace cacheclip {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json TwoTensors() {
  return {{"a", TensorEntry("F32", {2, 3}, 0, 24)},
          {"b", TensorEntry("BF16", {4}, 24, 32)},
          {"__metadata__", {{"format", "pt"}}}};
}

absl::StatusOr<std::map<std::string, TensorView>> Parse(const json& header, size_t data_bytes) {
  return ParseSafetensors(SafetensorsBytes(header.dump(), data_bytes));
}

void ExpectDataLoss(const absl::Status& status, const std::string& mentions) {
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(mentions));
}

TEST(Safetensors, GivesShapeDtypeAndBytesOfEachTensor) {
  const auto bytes = SafetensorsBytes(TwoTensors().dump(), 32);
  const auto tensors = ParseSafetensors(bytes);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  ASSERT_EQ(tensors->size(), 2u);
  const TensorView& a = tensors->at("a");
  const TensorView& b = tensors->at("b");
  EXPECT_EQ(a.dtype, TensorDtype::kFloat32);
  EXPECT_EQ(a.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(a.bytes.size(), 24u);
  EXPECT_EQ(b.dtype, TensorDtype::kBfloat16);
  EXPECT_EQ(b.bytes.data(), bytes.data() + bytes.size() - 8);
  EXPECT_EQ(b.bytes[0], std::byte{24});
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const auto bytes = SafetensorsBytes(TwoTensors().dump(), 32);
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_EQ(ParseSafetensors(std::span(bytes).first(length)).status().code(), absl::StatusCode::kDataLoss)
        << length;
}

TEST(Safetensors, HeaderLongerThanTheFileIsAnError) {
  auto bytes = SafetensorsBytes(TwoTensors().dump(), 32);
  for (uint64_t length :
       {uint64_t{bytes.size() - 7}, uint64_t{1} << 40, std::numeric_limits<uint64_t>::max()}) {
    std::memcpy(bytes.data(), &length, sizeof length);
    ExpectDataLoss(ParseSafetensors(bytes).status(), "header ends beyond the file");
  }
}

TEST(Safetensors, HeaderThatIsNoObjectIsAnError) {
  for (const char* header : {"", "[]", "{", "3", "{\"a\":1}", "{\"a\":{}}"})
    ExpectDataLoss(ParseSafetensors(SafetensorsBytes(header, 8)).status(), "");
}

TEST(Safetensors, TensorsBeyondTheFileAreErrorsThatNameThem) {
  ExpectDataLoss(Parse({{"far", TensorEntry("F32", {2}, 4, 12)}}, 8).status(), "far");
  ExpectDataLoss(Parse({{"reversed", TensorEntry("F32", {1}, 8, 4)}}, 8).status(), "reversed");
  ExpectDataLoss(Parse({{"large", TensorEntry("F32", {1 << 20}, 0, 8)}}, 8).status(), "large");
}

TEST(Safetensors, ShapesWhoseProductOverflowsAreErrors) {
  const int64_t half = int64_t{1} << 32;
  ExpectDataLoss(Parse({{"wrap", TensorEntry("F32", {half, half}, 0, 0)}}, 8).status(), "wrap");
  ExpectDataLoss(Parse({{"wrap", TensorEntry("F32", {8, 8, 8, 8, 8, 8}, 0, 8)}}, 8).status(), "wrap");
}

TEST(Safetensors, LengthMustBeThatOfTheShape) {
  ExpectDataLoss(Parse({{"short", TensorEntry("F32", {3}, 0, 8)}}, 16).status(), "short");
  ExpectDataLoss(Parse({{"long", TensorEntry("F32", {1}, 0, 8)}}, 16).status(), "long");
}

TEST(Safetensors, OverlappingTensorsAreErrors) {
  ExpectDataLoss(
      Parse({{"a", TensorEntry("F32", {2}, 0, 8)}, {"b", TensorEntry("F32", {2}, 4, 12)}}, 12).status(),
      "overlap");
  ExpectDataLoss(
      Parse({{"a", TensorEntry("F32", {2}, 0, 8)}, {"b", TensorEntry("F32", {2}, 0, 8)}}, 8).status(),
      "overlap");
}

TEST(Safetensors, NegativeOrFractionalNumbersAreErrors) {
  json negative = TensorEntry("F32", {-2}, 0, 8), fraction = TensorEntry("F32", {2}, 0, 8), offset = fraction;
  fraction["shape"] = {2.5};
  offset["data_offsets"] = {-8, 0};
  for (const json& entry : {negative, fraction, offset})
    ExpectDataLoss(Parse({{"a", entry}}, 8).status(), "a");
}

TEST(Safetensors, UnsupportedDtypeIsNamed) {
  const auto status = Parse({{"packed", TensorEntry("I8", {8}, 0, 8)}}, 8).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), testing::AllOf(HasSubstr("packed"), HasSubstr("I8")));
}

TEST(Safetensors, DamagedFilesNeverLeadOutOfTheFile) {
  const auto valid = SafetensorsBytes(TwoTensors().dump(), 32);
  std::mt19937 random(1);
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    auto bytes = valid;
    for (unsigned i = 0, damages = 1 + random() % 4; i < damages; ++i)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    const auto tensors = ParseSafetensors(bytes);
    if (!tensors.ok()) continue;
    ++accepted;
    for (const auto& [name, view] : *tensors) {
      EXPECT_GE(view.bytes.data(), bytes.data());
      EXPECT_LE(view.bytes.data() + view.bytes.size(), bytes.data() + bytes.size());
    }
  }
  EXPECT_GT(accepted, 0);  // damage to data, not to the header
  EXPECT_LT(accepted, 3000);
}

class CheckpointFolder : public testing::Test {
 protected:
  std::string File(const std::string& name) const { return folder_.path() + "/" + name; }
  void WriteShard(const std::string& name, const std::string& tensor) const {
    WriteBytes(File(name), SafetensorsBytes(json{{tensor, TensorEntry("F32", {2}, 0, 8)}}.dump(), 8));
  }
  TempFolder folder_;
};

TEST_F(CheckpointFolder, OneFileIsRead) {
  WriteShard("model.safetensors", "a");
  const auto checkpoint = Checkpoint::Open(folder_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->Find("a")->shape, std::vector<int64_t>{2});
  const absl::Status missing = checkpoint->Find("b.weight").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("b.weight"));
}

TEST_F(CheckpointFolder, ShardsOfTheIndexAreMerged) {
  WriteShard("one.safetensors", "a");
  WriteShard("two.safetensors", "b");
  WriteText(File("model.safetensors.index.json"),
            ShardIndex({{"a", "one.safetensors"}, {"b", "two.safetensors"}}));
  const auto checkpoint = Checkpoint::Open(folder_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->tensors().size(), 2u);
  EXPECT_EQ(checkpoint->files().size(), 2u);
}

TEST_F(CheckpointFolder, ATensorInTwoShardsIsAnError) {
  WriteShard("one.safetensors", "a");
  WriteShard("two.safetensors", "a");
  WriteText(File("model.safetensors.index.json"),
            ShardIndex({{"a", "one.safetensors"}, {"b", "two.safetensors"}}));
  ExpectDataLoss(Checkpoint::Open(folder_.path()).status(), "tensor a stands twice");
}

TEST_F(CheckpointFolder, ShardNamesThatLeaveTheFolderAreErrors) {
  for (const char* name : {"../model.safetensors", "/etc/passwd", "..", "sub/model.safetensors", ""}) {
    WriteText(File("model.safetensors.index.json"), ShardIndex({{"a", name}}));
    ExpectDataLoss(Checkpoint::Open(folder_.path()).status(), "leaves the folder");
  }
}

TEST_F(CheckpointFolder, MalformedIndexesAreErrors) {
  for (const char* text :
       {"", "[]", "{}", R"({"weight_map": 3})", R"({"weight_map": {"a": 3}})", R"({"weight_map": {}})"}) {
    WriteText(File("model.safetensors.index.json"), text);
    ExpectDataLoss(Checkpoint::Open(folder_.path()).status(), "");
  }
}

TEST_F(CheckpointFolder, TooManyShardsAreRefusedBeforeAnyIsOpened) {
  std::vector<std::pair<std::string, std::string>> map;
  for (int i = 0; i <= Checkpoint::kMaxShards; ++i)
    map.emplace_back(std::to_string(i), std::to_string(i) + ".safetensors");
  WriteText(File("model.safetensors.index.json"), ShardIndex(map));
  ExpectDataLoss(Checkpoint::Open(folder_.path()).status(), "number of shards");
}

TEST_F(CheckpointFolder, MissingFilesAreNotFoundAndNamed) {
  EXPECT_EQ(Checkpoint::Open(folder_.path()).status().code(), absl::StatusCode::kNotFound);
  WriteText(File("model.safetensors.index.json"), ShardIndex({{"a", "gone.safetensors"}}));
  const absl::Status status = Checkpoint::Open(folder_.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("gone.safetensors"));
}

TEST_F(CheckpointFolder, ErrorsNameTheFile) {
  WriteText(File("model.safetensors"), "not a checkpoint");
  ExpectDataLoss(Checkpoint::Open(folder_.path()).status(), "model.safetensors");
}

}  // namespace
}  // namespace cacheclip
