#include "common/engine/generate_request.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/base/status.h"
#include "common/text/prompt_layout.h"

namespace cacheclip {
namespace {

GenerateRequest GoodRequest() {
  GenerateRequest request;
  request.namespace_name = "docs";
  request.messages = {{"user", "Who?"}};
  request.chunks = {{.chunk_id = std::string(64, 'a')}, {.text = "some text", .title = "A title"}};
  return request;
}

absl::Status Refused(const std::function<void(GenerateRequest&)>& break_it) {
  GenerateRequest request = GoodRequest();
  break_it(request);
  return ValidateGenerateRequest(request);
}

void ExpectInvalid(const std::string& field, const std::function<void(GenerateRequest&)>& break_it) {
  const absl::Status status = Refused(break_it);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << field << ": " << status;
  EXPECT_EQ(FieldOf(status), field) << status;
}

void ExpectTooMuch(const std::string& field, const std::function<void(GenerateRequest&)>& break_it) {
  const absl::Status status = Refused(break_it);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << field << ": " << status;
  EXPECT_EQ(FieldOf(status), field) << status;
}

TEST(GenerateRequest, AcceptsWhatIsWithinTheLimits) {
  EXPECT_TRUE(ValidateGenerateRequest(GoodRequest()).ok()) << ValidateGenerateRequest(GoodRequest());
}

TEST(GenerateRequest, NamesTheFieldThatIsWrong) {
  ExpectInvalid("messages", [](auto& r) { r.messages.clear(); });
  ExpectInvalid("token_ids", [](auto& r) { r.token_ids = {1}; });
  ExpectInvalid("chunks[0]", [](auto& r) { r.chunks[0].text = "both"; });
  ExpectInvalid("chunks[1]", [](auto& r) { r.chunks[1].text.clear(); });
  ExpectInvalid("chunks[0].chunk_id", [](auto& r) { r.chunks[0].chunk_id = "abc"; });
  ExpectInvalid("chunks[1].text", [](auto& r) { r.chunks[1].text = "\xff"; });
  ExpectInvalid("chunks[1].title", [](auto& r) { r.chunks[1].title = "\xff"; });
  ExpectInvalid("options.budget", [](auto& r) { r.options.budget = 1.5; });
  ExpectInvalid("options.budget", [](auto& r) { r.options.budget = -0.1; });
  ExpectInvalid("options.budget", [](auto& r) { r.options.budget = std::nan(""); });
  ExpectInvalid("options.coverage", [](auto& r) { r.options.coverage = 0; });
  ExpectInvalid("options.coverage", [](auto& r) { r.options.coverage = 1.01; });
  ExpectInvalid("options.coverage", [](auto& r) { r.options.coverage = std::nan(""); });
  ExpectInvalid("options.max_new_tokens", [](auto& r) { r.options.max_new_tokens = 0; });
  ExpectInvalid("options.stop[1]", [](auto& r) { r.options.stop = {"ok", ""}; });
  ExpectInvalid("request_id", [](auto& r) { r.request_id = "\xff"; });
}

TEST(GenerateRequest, AQualityStandsAlone) {
  const auto with_quality = [](const std::function<void(GenerateOptions&)>& add) {
    return [add](GenerateRequest& request) {
      request.options.quality = Quality::kExact;
      add(request.options);
    };
  };
  EXPECT_TRUE(Refused(with_quality([](GenerateOptions&) {})).ok());
  ExpectInvalid("options.quality", with_quality([](auto& options) { options.method = Method::kFull; }));
  ExpectInvalid("options.quality", with_quality([](auto& options) { options.budget = kDefaultBudget; }));
  ExpectInvalid("options.quality", with_quality([](auto& options) { options.coverage = 1; }));
}

TEST(GenerateRequest, WhatIsDemandedComesFromTheLevelOrTheOptions) {
  const QualityLevels levels{.fast = {.budget = 0.07, .coverage = 0.4}};
  GenerateOptions options{.quality = Quality::kFast};
  EXPECT_EQ(DemandOf(options, levels).budget, 0.07);
  EXPECT_EQ(DemandOf(options, levels).coverage, 0.4);
  options = {.method = Method::kPrimaryProbe, .coverage = 0.5};
  EXPECT_EQ(DemandOf(options, levels).method, Method::kPrimaryProbe);
  EXPECT_EQ(DemandOf(options, levels).budget, kDefaultBudget);
  EXPECT_EQ(DemandOf(options, levels).coverage, 0.5);
  EXPECT_EQ(DemandOf(GenerateOptions(), levels).coverage, 1) << "the budget is spent";
}

TEST(GenerateRequest, NamesTheLimitThatIsExceeded) {
  ExpectTooMuch("request_id", [](auto& r) { r.request_id = std::string(kMaxRequestIdBytes + 1, 'x'); });
  ExpectTooMuch("messages", [](auto& r) { r.messages.assign(kMaxMessages + 1, {"user", "x"}); });
  ExpectTooMuch("chunks", [](auto& r) { r.chunks.assign(kMaxChunksPerRequest + 1, {.text = "x"}); });
  ExpectTooMuch("chunks[1].text",
                [](auto& r) { r.chunks[1].text = std::string(kMaxChunkInputBytes + 1, 'x'); });
  ExpectTooMuch("options.stop", [](auto& r) { r.options.stop.assign(kMaxStopStrings + 1, "x"); });
  ExpectTooMuch("options.stop[0]",
                [](auto& r) { r.options.stop = {std::string(kMaxStopStringBytes + 1, 'x')}; });
}

TEST(GenerateRequest, SamplingOptionsAreChecked) {
  const absl::Status status = Refused([](auto& r) { r.options.sampling.temperature = -1; });
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
}

TEST(GenerateRequest, FinishReasonsHaveStableNames) {
  EXPECT_EQ(FinishReasonName(FinishReason::kStop), "stop");
  EXPECT_EQ(FinishReasonName(FinishReason::kLength), "length");
  EXPECT_EQ(FinishReasonName(FinishReason::kStopString), "stop_string");
  EXPECT_EQ(FinishReasonName(FinishReason::kCancelled), "cancelled");
}

}  // namespace
}  // namespace cacheclip
