#include "common/rpc/conversion/selector_conversion.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/base/status.h"

namespace cacheclip {
namespace {

SelectRequest Valid() {
  SelectRequest request;
  request.namespace_name = "space";
  request.chunks = {{.chunk_id = "c", .num_tokens = 5}};
  request.question = "Why?";
  request.coverage = 0.6;
  return request;
}

TEST(SelectorConversion, RequestSurvivesTheRoundTrip) {
  const auto to = FromProto(ToProto(Valid()));
  ASSERT_TRUE(to.ok()) << to.status();
  EXPECT_EQ(to->chunks[0].num_tokens, 5);
  EXPECT_EQ(to->question, "Why?");
  EXPECT_EQ(to->method, Method::kAuxiliary);
  EXPECT_EQ(to->coverage, 0.6);
}

TEST(SelectorConversion, AnAbsentCoverageSpendsTheBudget) {
  v1::SelectTokensRequest request = ToProto(Valid());
  request.clear_coverage();
  EXPECT_EQ(FromProto(request)->coverage, 1);
}

TEST(SelectorConversion, NamesTheFieldItRefuses) {
  const auto field_after = [](void (*change)(SelectRequest&)) {
    SelectRequest request = Valid();
    change(request);
    return FieldOf(FromProto(ToProto(request)).status());
  };
  EXPECT_EQ(field_after([](SelectRequest& r) { r.chunks.clear(); }), "chunks");
  EXPECT_EQ(field_after([](SelectRequest& r) { r.question.clear(); }), "question");
  EXPECT_EQ(field_after([](SelectRequest& r) { r.budget = 1.5; }), "budget");
  EXPECT_EQ(field_after([](SelectRequest& r) { r.coverage = 0; }), "coverage");
  EXPECT_EQ(field_after([](SelectRequest& r) { r.coverage = 1.5; }), "coverage");
  EXPECT_EQ(field_after([](SelectRequest& r) { r.method = Method::kFull; }), "method");
}

TEST(SelectorConversion, TheStaleMassShareIsPassedOnUnlessItIsNoShare) {
  SelectResult result{.indices = {1}, .num_context_tokens = 10};
  EXPECT_FALSE(FromProto(ToProto(result))->stale_mass_share.has_value());
  result.stale_mass_share = 0.4;
  EXPECT_EQ(FromProto(ToProto(result))->stale_mass_share, 0.4);
  for (const double wrong : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    result.stale_mass_share = wrong;
    EXPECT_FALSE(FromProto(ToProto(result)).ok()) << wrong;
  }
}

TEST(SelectorConversion, RefusesIndicesThatAreNoSet) {
  SelectResult result{.indices = {1, 4, 9}, .num_context_tokens = 10};
  EXPECT_TRUE(FromProto(ToProto(result)).ok());
  result.indices = {1, 4, 10};
  EXPECT_FALSE(FromProto(ToProto(result)).ok());
  result.indices = {4, 1};
  EXPECT_FALSE(FromProto(ToProto(result)).ok());
  result.indices = {-1};
  EXPECT_FALSE(FromProto(ToProto(result)).ok());
}

}  // namespace
}  // namespace cacheclip
