#include "common/base/logging.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cacheclip {
namespace {

class Logging : public testing::Test {
 protected:
  ~Logging() override { SetMinLogSeverity(LogSeverity::kInfo); }

  template <typename Function>
  static std::string Captured(Function function) {
    testing::internal::CaptureStderr();
    function();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(Logging, ALineHasSeverityTimePlaceAndText) {
  const std::string text = Captured([] { CACHECLIP_LOG(Info) << "loaded " << 3 << " models"; });
  EXPECT_THAT(text, testing::MatchesRegex("I [0-9-]+T[0-9:.]+Z logging_test.cc:[0-9]+\\] loaded 3 models\n"));
}

TEST_F(Logging, LinesBelowTheMinimumAreDroppedAndNotEvenEvaluated) {
  SetMinLogSeverity(LogSeverity::kError);
  int num_evaluations = 0;
  const std::string text = Captured([&] {
    CACHECLIP_LOG(Warning) << ++num_evaluations;
    CACHECLIP_LOG(Error) << "kept";
  });
  EXPECT_THAT(text, testing::EndsWith("] kept\n"));
  EXPECT_THAT(text, testing::StartsWith("E "));
  EXPECT_EQ(num_evaluations, 0);
}

TEST_F(Logging, BindsToTheRightElse) {
  bool took_else = false;
  if (MinLogSeverity() == LogSeverity::kError)
    CACHECLIP_LOG(Info) << "never";
  else
    took_else = true;
  EXPECT_TRUE(took_else);
}

TEST_F(Logging, ATrueInvariantWritesNothing) {
  EXPECT_EQ(Captured([] { CACHECLIP_CHECK(1 + 1 == 2) << "never shown"; }), "");
}

TEST_F(Logging, ABrokenInvariantAbortsWithConditionAndText) {
  const int num_tokens = 3;
  EXPECT_DEATH(CACHECLIP_CHECK(num_tokens == 4) << "got " << num_tokens,
               "invariant violated: num_tokens == 4 got 3");
}

TEST_F(Logging, FatalLinesCannotBeHidden) {
  SetMinLogSeverity(LogSeverity::kFatal);
  EXPECT_DEATH(CACHECLIP_LOG(Fatal) << "the end", "F .*the end");
}

}  // namespace
}  // namespace cacheclip
