#include "services/evaluation/haystack.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/unit/services/evaluation/eval_task_harness.h"

namespace cacheclip {
namespace {

const SampleShape kShape{.context_tokens = 400, .chunk_tokens = 100};

std::vector<std::string> Fill(const std::vector<Insert>& inserts, uint64_t seed = 1) {
  Random random(seed);
  return FillChunks(
      kShape, inserts, [&] { return EssaySentence(random); }, random, CountWords);
}

TEST(FillChunks, FillsEveryChunkAndNoMore) {
  const std::vector<std::string> chunks = Fill({});
  ASSERT_EQ(chunks.size(), 4);
  for (const std::string& chunk : chunks) {
    EXPECT_LE(CountWords(chunk), 100);
    EXPECT_GE(CountWords(chunk), 75) << chunk;
  }
}

TEST(FillChunks, PutsInsertsWhereTheyBelong) {
  const std::vector<std::string> chunks = Fill({{0, Insert::Place::kTail, "cut here"},
                                                {1, Insert::Place::kHead, "and on it goes."},
                                                {2, Insert::Place::kInside, "A needle."}});
  EXPECT_TRUE(chunks[0].ends_with(" cut here"));
  EXPECT_TRUE(chunks[1].starts_with("and on it goes. "));
  EXPECT_NE(chunks[2].find("A needle."), std::string::npos);
}

TEST(FillChunks, IsTheSameForTheSameSeed) {
  EXPECT_EQ(Fill({}, 7), Fill({}, 7));
  EXPECT_NE(Fill({}, 7), Fill({}, 8));
}

TEST(MadeUpNames, Differ) {
  Random random(3);
  for (const std::vector<std::string>& names : {MakeWordKeys(random, 500), MakeNames(random, 500)})
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 500);
  EXPECT_EQ(MakeNumber(random, 7).size(), 7);
  EXPECT_EQ(MakeUuid(random).size(), 36);
}

}  // namespace
}  // namespace cacheclip
