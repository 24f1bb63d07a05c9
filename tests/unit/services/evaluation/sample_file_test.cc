#include "services/evaluation/sample_file.h"

#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "services/evaluation/eval_run.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {
namespace {

TEST(SampleFile, HoldsTheTokensThatAreServedAndWhereTheEvidenceIs) {
  const TempFolder folder;
  Config config;
  config.model = WriteTinyModel(folder.path() + "/model");
  const std::string path = folder.path() + "/samples.jsonl";
  const EvalOptions options{
      .tasks = "seam,two_hop", .num_samples = 3, .context_tokens = 160, .chunk_tokens = {40, 80}};
  const auto num_written = WriteSamples(config, options, path);
  ASSERT_TRUE(num_written.ok()) << num_written.status();
  EXPECT_EQ(*num_written, 2 * 3 * 2);

  std::ifstream file(path);
  int count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    const nlohmann::json sample = nlohmann::json::parse(line);
    int context_tokens = 0;
    for (const auto& chunk : sample["chunk_ids"]) context_tokens += static_cast<int>(chunk.size());
    EXPECT_EQ(sample["chunk_ids"].size(), sample["chunk"] == 40 ? 4u : 2u);
    const auto suffix = static_cast<int>(sample["suffix_ids"].size());
    EXPECT_LT(sample["question_begin"].get<int>(), sample["question_end"].get<int>());
    EXPECT_LE(sample["question_end"].get<int>(), suffix);
    for (const int index : sample["evidence"]) EXPECT_LT(index, context_tokens);
  }
  EXPECT_EQ(count, *num_written);
  EXPECT_EQ(FieldOf(WriteSamples(config, options, path).status()), "write-samples")
      << "nothing is overwritten";
}

}  // namespace
}  // namespace cacheclip
