#include "services/cacheclip/corpus_size.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

TEST(CorpusSize, EstimatesFromBytesWithoutATokenizer) {
  TempFolder folder;
  std::ofstream(folder.path() + "/a.txt") << std::string(400, 'a');
  std::ofstream(folder.path() + "/b.jsonl") << R"({"id": "one", "text": "abcdefgh"})"
                                            << "\nno document\n";
  const auto size = MeasureCorpus({folder.path()}, nullptr);
  ASSERT_TRUE(size.ok()) << size.status();
  EXPECT_EQ(size->documents, 2);
  EXPECT_EQ(size->tokens, 100 + 2);
  EXPECT_EQ(size->errors.size(), 1);
}

TEST(CorpusSize, SaysThatThereIsNoSuchFolder) {
  EXPECT_EQ(MeasureCorpus({"/no/such/folder"}, nullptr).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace cacheclip
