#include "services/evaluation/qa_file.h"

#include <fstream>

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

absl::StatusOr<std::vector<EvalSample>> Read(const std::string& content) {
  TempFolder folder;
  const std::string path = folder.path() + "/questions.json";
  std::ofstream(path) << content;
  return ReadQaFile(path);
}

TEST(QaFile, ReadsRetrievalPassages) {
  const auto samples = Read(R"([{"question": "Who?", "answers": ["Ann", "Anna"],
                                 "ctxs": [{"title": "A", "text": "Ann did."}, {"title": "", "text": "Not Bob."}]}])");
  ASSERT_TRUE(samples.ok()) << samples.status();
  ASSERT_EQ(samples->size(), 1);
  const EvalSample& sample = samples->front();
  EXPECT_EQ(sample.task, "qa");
  EXPECT_EQ(sample.question, "Who?");
  EXPECT_EQ(sample.references, (std::vector<std::string>{"Ann", "Anna"}));
  EXPECT_EQ(sample.chunks, (std::vector<std::string>{"A\nAnn did.", "Not Bob."}));
  EXPECT_EQ(sample.metric, AnswerMetric::kTokenF1);
}

TEST(QaFile, ReadsSentencesByTitle) {
  const auto samples = Read(
      R"([{"question": "Q?", "answer": "yes", "context": [["T", ["One. ", "Two."]], ["U", ["Three."]]]}])");
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_EQ(samples->front().references, std::vector<std::string>{"yes"});
  EXPECT_EQ(samples->front().chunks, (std::vector<std::string>{"T\nOne. Two.", "U\nThree."}));
}

TEST(QaFile, ReadsLinesWithOneContext) {
  const auto samples = Read(
      "{\"input\": \"Q1?\", \"answers\": [\"a\"], \"context\": \"Passage 1:\\nfirst\\nPassage "
      "2:\\nsecond\"}\n"
      "{\"input\": \"Q2?\", \"answers\": [\"b\"], \"context\": \"one\\n\\ntwo\"}\n");
  ASSERT_TRUE(samples.ok()) << samples.status();
  ASSERT_EQ(samples->size(), 2);
  EXPECT_EQ((*samples)[0].chunks.size(), 2);
  EXPECT_EQ((*samples)[1].chunks, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ((*samples)[1].index, 1);
}

TEST(QaFile, NamesTheEntryThatCannotBeRead) {
  for (const char* content :
       {"", "[]", "[{\"question\": \"Q?\"}]", "[{\"question\": \"Q?\", \"answer\": \"a\", \"ctxs\": []}]",
        "not json\n", "[3]"})
    EXPECT_EQ(FieldOf(Read(content).status()), "qa-file") << content;
  EXPECT_EQ(FieldOf(ReadQaFile("/nowhere.json").status()), "qa-file");
}

}  // namespace
}  // namespace cacheclip
