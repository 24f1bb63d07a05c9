#include "services/cacheclip/local_index/local_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LocalIndexTest : public testing::Test {
 protected:
  LocalIndexTest() {
    Put("lighthouse",
        {{"l1", "The lighthouse", "The lighthouse of Aldermoor was built in 1874 by Ida Brandt."},
         {"l2", "The lighthouse", "Its keeper rowed across the bay every Thursday."}});
    Put("bakery", {{"b1", "The bakery", "The bakery in Aldermoor bakes rye bread."}});
    Put("unicode", {{"u1", "Café Zürich", "Das Café in Zürich öffnet früh. 東京 タワー 🙂"}});
  }
  void Put(const std::string& document_id, const std::vector<Passage>& passages) {
    ASSERT_TRUE(index_->Upsert("docs", document_id, passages).ok());
  }
  std::vector<std::string> Found(const std::string& question, const SearchOptions& options = {}) {
    const auto results = index_->Search("docs", question, options);
    EXPECT_TRUE(results.ok()) << question << ": " << results.status();
    std::vector<std::string> ids;
    if (results.ok())
      for (const SearchResult& result : *results) ids.push_back(result.chunk_id);
    return ids;
  }

  TempFolder folder_;
  std::unique_ptr<LocalIndex> index_ = LocalIndex::Open(folder_.path() + "/index.sqlite").value();
};

TEST_F(LocalIndexTest, BestMatchComesFirst) {
  EXPECT_EQ(Found("Who built the lighthouse of Aldermoor?")[0], "l1");
  EXPECT_EQ(Found("Where can I buy rye bread in Aldermoor?")[0], "b1");
  const auto results = index_->Search("docs", "Aldermoor rye").value();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_GT(results[0].score, results[1].score);
  EXPECT_EQ(results[0].document_id, "bakery");
}

TEST_F(LocalIndexTest, WordFormsMeet) {
  EXPECT_THAT(Found("keepers rowing"), ElementsAre("l2"));
  EXPECT_THAT(Found("baked breads"), ElementsAre("b1"));
}

TEST_F(LocalIndexTest, OtherNamespacesAreNotSearched) {
  EXPECT_THAT(index_->Search("other", "lighthouse").value(), IsEmpty());
}

TEST_F(LocalIndexTest, UpsertReplacesAndRemoveForgets) {
  Put("bakery", {{"b2", "The bakery", "It moved to Westcliff."}});
  EXPECT_THAT(Found("rye bread"), IsEmpty());
  EXPECT_THAT(Found("Westcliff"), ElementsAre("b2"));
  ASSERT_TRUE(index_->Remove("docs", "bakery").ok());
  EXPECT_THAT(Found("Westcliff"), IsEmpty());
  EXPECT_TRUE(index_->Remove("docs", "bakery").ok());
}

TEST_F(LocalIndexTest, ResultsAreBoundedPerDocumentAndInAll) {
  EXPECT_THAT(Found("lighthouse Aldermoor", {.limit = 1}).size(), 1u);
  EXPECT_THAT(Found("lighthouse keeper bakery", {.max_per_document = 1}), testing::SizeIs(2));
  EXPECT_EQ(FieldOf(index_->Search("docs", "x", {.limit = 0}).status()), "limit");
  EXPECT_EQ(FieldOf(index_->Search("docs", "x", {.limit = LocalIndex::kMaxResults + 1}).status()), "limit");
  EXPECT_EQ(FieldOf(index_->Search("docs", "x", {.max_per_document = -1}).status()), "max_per_document");
}

TEST_F(LocalIndexTest, ChunkSharedByTwoDocumentsIsOneResult) {
  Put("copy", {{"b1", "The bakery", "The bakery in Aldermoor bakes rye bread."}});
  EXPECT_THAT(Found("rye bread"), ElementsAre("b1"));
}

TEST_F(LocalIndexTest, QuerySyntaxInAQuestionIsHarmless) {
  for (const char* question :
       {"lighthouse\" OR \"", "lighthouse AND NOT bakery", "NEAR(lighthouse keeper, 2)", "title : lighthouse",
        "{title text} : lighthouse", "lighthouse*", "^lighthouse", "(lighthouse", "lighthouse) --",
        "lighthouse + keeper", "'; DROP TABLE passages; -- lighthouse", "- lighthouse", "\"\"\" lighthouse"})
    EXPECT_THAT(Found(question), testing::Contains("l1")) << question;
  EXPECT_THAT(Found("\""), IsEmpty());
  EXPECT_THAT(Found("* ^ ( ) : - +"), IsEmpty());
  EXPECT_THAT(Found("NOT"), IsEmpty());  // a word, not an operator
  EXPECT_THAT(Found(""), IsEmpty());
  EXPECT_THAT(Found(std::string("\0lighthouse\0", 12)), testing::Contains("l1"));
}

TEST_F(LocalIndexTest, UnicodeWordsAreFoundWithAndWithoutTheirMarks) {
  EXPECT_THAT(Found("Zürich"), ElementsAre("u1"));
  EXPECT_THAT(Found("zurich cafe"), ElementsAre("u1"));
  EXPECT_THAT(Found("東京"), ElementsAre("u1"));
  EXPECT_THAT(Found("“Zürich”…"), ElementsAre("u1"));
  EXPECT_THAT(Found("… “” —"), IsEmpty());         // no letters
  EXPECT_THAT(Found("\xff\xfe \xc3"), IsEmpty());  // no UTF-8
}

TEST_F(LocalIndexTest, IsFoundAgainAfterARestart) {
  index_.reset();
  index_ = LocalIndex::Open(folder_.path() + "/index.sqlite").value();
  EXPECT_THAT(Found("rye"), ElementsAre("b1"));
}

TEST_F(LocalIndexTest, MissingFolderIsAnError) {
  EXPECT_EQ(LocalIndex::Open(folder_.path() + "/none/index.sqlite").status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(MatchExpression, DropsStopWordsAndRepetitions) {
  EXPECT_EQ(MatchExpression("What is the height of the Tower, the tower?"), "\"height\" OR \"tower\"");
}

TEST(MatchExpression, KeepsStopWordsWhereNothingElseIsLeft) {
  EXPECT_EQ(MatchExpression("Who is it?"), "\"who\" OR \"is\" OR \"it\"");
}

TEST(MatchExpression, UsesABoundedNumberOfWords) {
  std::string question;
  for (int i = 0; i < 10'000; ++i) question += " word" + std::to_string(i);
  const std::string expression = MatchExpression(question);
  EXPECT_EQ(std::count(expression.begin(), expression.end(), '"'), 2 * LocalIndex::kMaxQuestionWords);
}

}  // namespace
}  // namespace cacheclip
