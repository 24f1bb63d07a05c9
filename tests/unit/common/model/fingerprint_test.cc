#include "common/model/fingerprint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/common/model/safetensors_file.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const json kConfig = {{"model_type", "llama"},    {"vocab_size", 16},       {"hidden_size", 8},
                      {"intermediate_size", 8},   {"num_hidden_layers", 1}, {"num_attention_heads", 1},
                      {"num_key_value_heads", 1}, {"head_dim", 8},          {"tie_word_embeddings", true}};

class Fingerprint : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& seed = "") const {
    return WriteFormulaModel(folder_.path() + "/" + name, kConfig, FormulaTensors(kConfig), seed);
  }
  Digest Of(const std::string& directory, bool cached = false) const {
    const auto checkpoint = Checkpoint::Open(directory);
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    return WeightsFingerprint(directory, *checkpoint, cached ? cache_.path() : "").value();
  }
  static void FlipLastBit(const std::string& directory) {
    std::fstream file(directory + "/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-1, std::ios::end);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(-1, std::ios::end);
    file.put(byte);
  }
  TempFolder folder_, cache_;
};

TEST_F(Fingerprint, IsTheSameForTheSameWeightsInAnotherFolder) {
  EXPECT_EQ(Of(Write("one")), Of(Write("two")));
}

TEST_F(Fingerprint, OneFlippedBitChangesIt) {
  const std::string directory = Write("one");
  const Digest before = Of(directory);
  FlipLastBit(directory);
  EXPECT_NE(Of(directory), before);
}

TEST_F(Fingerprint, ConfigurationEntersIt) {
  const std::string directory = Write("one");
  const Digest before = Of(directory);
  EditConfig(directory, {{"rope_theta", 5000.0}});
  EXPECT_NE(Of(directory), before);
}

TEST_F(Fingerprint, TensorNamesEnterIt) {
  auto tensors = FormulaTensors(kConfig);
  const Digest before = Of(Write("one"));
  auto node = tensors.extract("model.norm.weight");
  node.key() = "model.norm.weighs";
  tensors.insert(std::move(node));
  EXPECT_NE(Of(WriteFormulaModel(folder_.path() + "/two", kConfig, tensors)), before);
}

TEST_F(Fingerprint, ShardLayoutDoesNotEnterIt) {
  const std::string whole = Write("whole"), sharded = folder_.path() + "/sharded";
  std::map<std::string, std::vector<int64_t>> halves[2];
  std::vector<std::pair<std::string, std::string>> index;
  for (const auto& [name, shape] : FormulaTensors(kConfig)) {
    const size_t half = index.size() % 2;
    halves[half][name] = shape;
    index.emplace_back(name, "part" + std::to_string(half) + ".safetensors");
  }
  for (size_t half : {0, 1}) {
    WriteFormulaModel(sharded, kConfig, halves[half]);
    fs::rename(sharded + "/model.safetensors", sharded + "/part" + std::to_string(half) + ".safetensors");
  }
  WriteText(sharded + "/model.safetensors.index.json", ShardIndex(index));
  EXPECT_EQ(Of(sharded), Of(whole));
}

TEST_F(Fingerprint, CacheAnswersBySizeAndTimeWithoutReadingTheWeights) {
  const std::string directory = Write("one"), file = directory + "/model.safetensors";
  const Digest before = Of(directory, /*cached=*/true);
  EXPECT_EQ(before, Of(directory));
  const auto time = fs::last_write_time(file);
  FlipLastBit(directory);
  fs::last_write_time(file, time);
  EXPECT_EQ(Of(directory, /*cached=*/true), before);  // nothing but the bytes tells it apart
  fs::last_write_time(file, time + std::chrono::seconds(1));
  EXPECT_EQ(Of(directory, /*cached=*/true), Of(directory));
  EXPECT_NE(Of(directory), before);
}

TEST_F(Fingerprint, ADamagedCacheEntryIsComputedAnew) {
  const std::string directory = Write("one");
  const Digest digest = Of(directory, /*cached=*/true);
  int entries = 0;
  for (const auto& entry : fs::directory_iterator(cache_.path() + "/fingerprints")) {
    WriteText(entry.path().string(), "not hexadecimal");
    ++entries;
  }
  EXPECT_EQ(entries, 1);
  EXPECT_EQ(Of(directory, /*cached=*/true), digest);
}

TEST_F(Fingerprint, ACacheThatCannotBeWrittenIsIgnored) {
  const std::string directory = Write("one"), blocked = folder_.path() + "/file";
  WriteText(blocked, "a file where the folder should be");
  const auto digest = WeightsFingerprint(directory, Checkpoint::Open(directory).value(), blocked);
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(*digest, Of(directory));
}

}  // namespace
}  // namespace cacheclip
