#include "services/cacheclip/usage_report.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cacheclip {
namespace {

using testing::HasSubstr;

GenerateResult Result(Method method, absl::Duration first_token, const std::string& text) {
  GenerateResult result;
  result.text = text;
  result.usage.method = method;
  result.usage.time_to_first_token = first_token;
  result.usage.context_tokens = 100;
  result.usage.recomputed_tokens = 20;
  result.usage.charged_budget = 0.2;
  result.usage.cached_tokens = {{Tier::kMemory, 90}, {Tier::kDisk, 30}};
  return result;
}

TEST(UsageReport, JsonHasTheApisNamesAndAZeroIsThere) {
  const nlohmann::json usage = UsageJson(Usage());
  EXPECT_EQ(usage["cached_prompt_tokens"], 0);
  EXPECT_TRUE(usage["fallbacks"].is_array());
  EXPECT_EQ(UsageJson(Result(Method::kFull, absl::Seconds(1), "").usage)["cached_prompt_tokens"], 120);
}

TEST(UsageReport, AnUnknownDivergenceIsNullAndNotInTheLine) {
  Usage usage;
  EXPECT_TRUE(UsageJson(usage)["estimated_divergence"].is_null());
  EXPECT_THAT(UsageLine(usage), testing::Not(HasSubstr("divergence")));
  usage.estimated_divergence = 0.0625;
  EXPECT_EQ(UsageJson(usage)["estimated_divergence"], 0.0625);
  EXPECT_THAT(UsageLine(usage), HasSubstr("estimated divergence 0.06"));
}

TEST(UsageReport, LineSaysWhatWentOnWithoutAPart) {
  Usage usage = Result(Method::kPrimaryProbe, absl::Seconds(1), "").usage;
  usage.fallbacks = {{"selector", "selector_unavailable", ""}};
  EXPECT_THAT(UsageLine(usage), HasSubstr("primary_probe"));
  EXPECT_THAT(UsageLine(usage), HasSubstr("without selector: selector_unavailable"));
}

TEST(UsageReport, StagesAreSharesOfTheTimeToTheFirstTokenAndDecodeIsARate) {
  Usage usage = Result(Method::kAuxiliary, absl::Seconds(2), "").usage;
  usage.completion_tokens = 11;
  usage.stage_durations = {{Stage::kSelect, absl::Milliseconds(500)},
                           {Stage::kRecompute, absl::Milliseconds(1400)},
                           {Stage::kDecode, absl::Milliseconds(250)}};
  const std::string table = StageTable(usage);
  EXPECT_THAT(table, testing::ContainsRegex("select +0.5000 +25.0 %"));
  EXPECT_THAT(table, testing::ContainsRegex("recompute +1.4000 +70.0 %"));
  EXPECT_THAT(table, testing::ContainsRegex("first token +2.0000"));
  EXPECT_THAT(table, testing::ContainsRegex("decode +0.2500 +40.0 tokens/s"));
  EXPECT_LT(table.find("select"), table.find("recompute"));
}

TEST(UsageReport, StagesOfOneTokenHaveNoDecodeRate) {
  Usage usage = Result(Method::kFull, absl::ZeroDuration(), "").usage;
  usage.completion_tokens = 1;
  usage.stage_durations = {{Stage::kDecode, absl::ZeroDuration()}, {Stage::kRecompute, absl::ZeroDuration()}};
  EXPECT_THAT(StageTable(usage), testing::Not(HasSubstr("tokens/s")));
  EXPECT_THAT(StageTable(usage), HasSubstr("0.0 %"));
}

TEST(UsageReport, TableComparesWithTheFirstRun) {
  const std::string table =
      ComparisonTable({{"full", Result(Method::kFull, absl::Seconds(2), "yes")},
                       {"auxiliary", Result(Method::kPrimaryProbe, absl::Seconds(1), "yes")},
                       {"none", Result(Method::kNone, absl::Seconds(1), "no")}});
  EXPECT_THAT(table, HasSubstr("auxiliary>primary_probe"));
  EXPECT_THAT(table, HasSubstr("2.00x"));
  EXPECT_THAT(table, HasSubstr("memory 90 disk 30"));
  EXPECT_THAT(table, HasSubstr("equal\n"));
  EXPECT_THAT(table, HasSubstr("differs\n"));
}

}  // namespace
}  // namespace cacheclip
