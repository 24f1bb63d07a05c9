#include "services/evaluation/sample.h"

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

TEST(ScoreAnswer, IsTheShareOfReferencesThatTheAnswerContains) {
  const EvalSample sample{.references = {"1234567", "Blue Boat"}};
  EXPECT_EQ(ScoreAnswer(sample, " 1234567 and the blue boat."), 1);
  EXPECT_EQ(ScoreAnswer(sample, "the BLUE BOAT"), 0.5);
  EXPECT_EQ(ScoreAnswer(sample, "12345"), 0);
  EXPECT_EQ(ScoreAnswer({}, "anything"), 0) << "nothing was asked for";
}

TEST(ScoreAnswer, CountsCommonWordsForQuestionsAboutDocuments) {
  const EvalSample sample{.references = {"the Great Fire of London", "a fire"},
                          .metric = AnswerMetric::kTokenF1};
  EXPECT_EQ(ScoreAnswer(sample, "Great fire of London!"), 1) << "articles, case and punctuation do not count";
  EXPECT_DOUBLE_EQ(ScoreAnswer(sample, "fire of 1666"), 4.0 / 7) << "2 of 3 words given, 2 of 4 wanted";
  EXPECT_EQ(ScoreAnswer(sample, "water"), 0);
  EXPECT_EQ(ScoreAnswer(sample, ""), 0);
}

TEST(TokensOfReferences, AreThoseThatTouchOne) {
  const EvalSample sample{.references = {"4711", "Blue Boat", "not there"}};
  const std::string answer = ": 4711 or blue boat. 4711";
  //                          : |␣|47|11|␣or|␣blue|␣boat|.|␣47|11
  const std::vector<size_t> ends = {1, 2, 4, 6, 9, 14, 19, 20, 23, 25};
  const std::vector<bool> expected = {false, false, true, true, false, true, true, false, false, false};
  EXPECT_EQ(TokensOfReferences(sample, answer, ends), expected) << "only where a reference stands first";
  EXPECT_EQ(TokensOfReferences({}, answer, ends), std::vector<bool>(ends.size(), false));
}

}  // namespace
}  // namespace cacheclip
