#include "common/text/special_tokens.h"

#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(SpecialTokens, FolderWithoutFilesHasNone) {
  EXPECT_TRUE(LoadSpecialTokens(TempFolder().path())->empty());
}

TEST(SpecialTokens, TokensAreStringsOrObjectsWithContent) {
  const TempFolder folder;
  Write(folder.path() + "/tokenizer_config.json",
        R"({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null})");
  const SpecialTokenMap tokens = *LoadSpecialTokens(folder.path());
  EXPECT_EQ(tokens.at("bos_token"), "<s>");
  EXPECT_EQ(tokens.at("eos_token"), "</s>");
  EXPECT_EQ(tokens.count("pad_token"), 0u);
}

TEST(SpecialTokens, TheMapFileFillsOnlyWhatIsMissing) {
  const TempFolder folder;
  Write(folder.path() + "/tokenizer_config.json", R"({"bos_token": "<s>"})");
  Write(folder.path() + "/special_tokens_map.json", R"({"bos_token": "<other>", "unk_token": "<unk>"})");
  const SpecialTokenMap tokens = *LoadSpecialTokens(folder.path());
  EXPECT_EQ(tokens.at("bos_token"), "<s>");
  EXPECT_EQ(tokens.at("unk_token"), "<unk>");
}

TEST(SpecialTokens, AFileThatIsNoObjectIsRefusedByName) {
  const TempFolder folder;
  Write(folder.path() + "/tokenizer_config.json", "[1, 2]");
  const absl::Status status = LoadSpecialTokens(folder.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("tokenizer_config.json"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace cacheclip
