#include "common/rpc/conversion/generation_conversion.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

GenerateRequest FullRequest() {
  GenerateRequest request;
  request.request_id = "id";
  request.namespace_name = "space";
  request.prefix_id = "ab";
  request.messages = {{"user", "Why?"}, {"assistant", "Because"}};
  request.chunks = {{.chunk_id = "c1"}, {.text = "text", .title = "title"}};
  request.options.method = Method::kChunkHead;
  request.options.budget = 0;  // a real value, not "absent"
  request.options.coverage = 0.5;
  request.options.write_back = true;
  request.options.allow_other_prefix = true;
  request.options.max_new_tokens = 7;
  request.options.stop = {"\n"};
  request.options.sampling = {
      .temperature = 0.5, .top_p = 0.9, .top_k = 3, .repetition_penalty = 1.1, .seed = 9};
  return request;
}

TEST(GenerationConversion, RequestSurvivesTheRoundTrip) {
  const GenerateRequest from = FullRequest();
  const auto to = FromProto(ToProto(from));
  ASSERT_TRUE(to.ok()) << to.status();
  EXPECT_EQ(to->request_id, "id");
  EXPECT_EQ(to->prefix_id, "ab");
  ASSERT_EQ(to->messages.size(), 2);
  EXPECT_EQ(to->messages[1].content, "Because");
  ASSERT_EQ(to->chunks.size(), 2);
  EXPECT_EQ(to->chunks[0].chunk_id, "c1");
  EXPECT_EQ(to->chunks[1].title, "title");
  EXPECT_EQ(to->options.method, Method::kChunkHead);
  EXPECT_EQ(to->options.budget, 0);
  EXPECT_EQ(to->options.coverage, 0.5);
  EXPECT_TRUE(to->options.write_back);
  EXPECT_EQ(to->options.stop, from.options.stop);
  EXPECT_EQ(to->options.sampling.repetition_penalty, 1.1);
  EXPECT_EQ(to->options.sampling.seed, 9);
}

TEST(GenerationConversion, AbsentFieldsHaveTheEnginesDefaults) {
  v1::GenerateRequest request;
  request.set_prompt("Why?");
  const auto to = FromProto(request);
  ASSERT_TRUE(to.ok()) << to.status();
  const GenerateOptions defaults;
  EXPECT_EQ(to->messages.size(), 1);
  EXPECT_EQ(to->messages[0].role, "user");
  EXPECT_EQ(to->options.budget, defaults.budget);
  EXPECT_EQ(to->options.coverage, defaults.coverage);
  EXPECT_EQ(to->options.quality, Quality::kUnspecified);
  EXPECT_EQ(to->options.max_new_tokens, defaults.max_new_tokens);
  EXPECT_EQ(to->options.sampling.top_p, 1);
  EXPECT_EQ(to->options.method, Method::kAuto);
}

TEST(GenerationConversion, AQualitySurvivesAloneAndExcludesAMethod) {
  GenerateRequest request;
  request.messages = {{"user", "Why?"}};
  for (const Quality quality : {Quality::kFast, Quality::kBalanced, Quality::kExact}) {
    request.options.quality = quality;
    const auto to = FromProto(ToProto(request));
    ASSERT_TRUE(to.ok()) << to.status();
    EXPECT_EQ(to->options.quality, quality);
    EXPECT_FALSE(to->options.budget.has_value());
    EXPECT_FALSE(to->options.coverage.has_value());
  }
  v1::GenerateRequest proto = ToProto(request);
  proto.mutable_options()->set_method("auto");
  EXPECT_EQ(FieldOf(FromProto(proto).status()), "options.quality");
}

TEST(GenerationConversion, TokenIdsPassAsTheyAre) {
  GenerateRequest request = FullRequest();
  request.messages.clear();
  request.token_ids = {5, 6, 7};
  const auto to = FromProto(ToProto(request));
  ASSERT_TRUE(to.ok()) << to.status();
  EXPECT_EQ(to->token_ids, request.token_ids);
  EXPECT_TRUE(to->messages.empty());
}

TEST(GenerationConversion, RefusesWhatHasNoPlainForm) {
  EXPECT_EQ(FieldOf(FromProto(v1::GenerateRequest()).status()), "messages");
  v1::GenerateRequest request = ToProto(FullRequest());
  request.add_chunks();
  EXPECT_EQ(FieldOf(FromProto(request).status()), "chunks[2]");
  request = ToProto(FullRequest());
  request.mutable_options()->set_method("best");
  EXPECT_EQ(FieldOf(FromProto(request).status()), "options.method");
  request = ToProto(FullRequest());
  request.mutable_options()->set_quality(static_cast<v1::Quality>(99));
  EXPECT_EQ(FieldOf(FromProto(request).status()), "options.quality");
}

TEST(GenerationConversion, UsageSurvivesAndSumsItsTiers) {
  Usage usage;
  usage.prompt_tokens = 10;
  usage.cached_tokens = {{Tier::kMemory, 4}, {Tier::kDisk, 3}};
  usage.method = Method::kPrimaryProbe;
  usage.load_decisions = {{"encode", "late", 3}};
  usage.fallbacks = {{"selector", "selector_unavailable", "connection refused"}};
  usage.stage_durations = {{Stage::kSelect, absl::Milliseconds(250)}};
  const v1::Usage proto = ToProto(usage);
  EXPECT_EQ(proto.cached_prompt_tokens(), 7);
  const Usage back = FromProto(proto);
  EXPECT_EQ(back.cached_tokens, usage.cached_tokens);
  EXPECT_EQ(back.method, Method::kPrimaryProbe);
  EXPECT_EQ(back.fallbacks[0].reason, "selector_unavailable");
  ASSERT_EQ(back.load_decisions.size(), 1);
  EXPECT_EQ(back.load_decisions[0].decision, "encode");
  EXPECT_EQ(back.load_decisions[0].reason, "late");
  EXPECT_EQ(back.load_decisions[0].num_chunks, 3);
  EXPECT_EQ(back.stage_durations, usage.stage_durations);
}

TEST(GenerationConversion, AnUnknownDivergenceIsNotZero) {
  Usage usage;
  EXPECT_FALSE(ToProto(usage).has_estimated_divergence());
  EXPECT_FALSE(FromProto(ToProto(usage)).estimated_divergence.has_value());
  for (const double estimate : {0.0, 0.03}) {
    usage.estimated_divergence = estimate;
    EXPECT_EQ(FromProto(ToProto(usage)).estimated_divergence, estimate);
  }
}

TEST(GenerationConversion, ErrorEventsSayWhetherToRetry) {
  EXPECT_TRUE(ToProto(absl::UnavailableError("x")).retryable());
  EXPECT_FALSE(ToProto(InvalidField("prompt", "x")).retryable());
  EXPECT_EQ(FromProto(ToProto(InvalidField("prompt", "x"))), InvalidField("prompt", "x"));
}

}  // namespace
}  // namespace cacheclip
