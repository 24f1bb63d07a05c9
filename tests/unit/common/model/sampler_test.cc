#include "common/model/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "common/base/status.h"

namespace cacheclip {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, 2.0f, -1.0f, 2.5f};

std::map<int32_t, int> Draw(const SamplingOptions& options, const std::vector<float>& logits, int count) {
  Sampler sampler(options);
  std::map<int32_t, int> counts;
  for (int i = 0; i < count; ++i) ++counts[sampler.Sample(logits, {}).id];
  return counts;
}

double Probability(const std::vector<float>& logits, size_t id, double temperature) {
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit / temperature);
  return std::exp(logits[id] / temperature) / sum;
}

TEST(Sampler, TemperatureZeroTakesTheBestAndTheLowerIdOfTies) {
  EXPECT_EQ(Sampler({}).Sample(kLogits, {}).id, 1);
  EXPECT_EQ(Sampler({.seed = 9}).Sample(std::vector<float>{2, 5, 5, 1}, {}).id, 1);
  EXPECT_EQ(Sampler({}).Sample(std::vector<float>{-5, -3, -4}, {}).id, 1);
}

TEST(Sampler, LogProbabilityIsTheModelsOwn) {
  const SampledToken plain = Sampler({}).Sample(kLogits, {});
  EXPECT_NEAR(plain.log_probability, std::log(Probability(kLogits, 1, 1)), 1e-5);
  // Neither penalty nor temperature enters.
  const std::vector<int32_t> context = {1, 4};
  const SampledToken penalised = Sampler({.repetition_penalty = 2}).Sample(kLogits, context);
  EXPECT_EQ(penalised.id, 2);
  EXPECT_NEAR(penalised.log_probability, std::log(Probability(kLogits, 2, 1)), 1e-5);
}

TEST(Sampler, LargeLogitsDoNotOverflow) {
  const SampledToken token =
      Sampler({.temperature = 0.01}).Sample(std::vector<float>{1e4f, 1e4f - 50, -1e4f}, {});
  EXPECT_EQ(token.id, 0);
  EXPECT_NEAR(token.log_probability, 0, 1e-5);
}

TEST(Sampler, PenaltyLowersSeenTokensWhateverTheirSignAndOnce) {
  EXPECT_EQ(Sampler({.repetition_penalty = 2}).Sample(kLogits, std::vector<int32_t>{1}).id, 4);
  // −1 · 2 = −2 falls below −1.5; dividing would have raised it.
  EXPECT_EQ(
      Sampler({.repetition_penalty = 2}).Sample(std::vector<float>{-1, -1.5}, std::vector<int32_t>{0}).id, 1);
  // 3 / 1.3 = 2.3 beats 2 however often the token was seen.
  EXPECT_EQ(
      Sampler({.repetition_penalty = 1.3}).Sample(std::vector<float>{3, 2}, std::vector<int32_t>{0, 0, 0}).id,
      0);
}

TEST(Sampler, ContextIdsOutsideTheVocabularyAreIgnored) {
  EXPECT_EQ(Sampler({.repetition_penalty = 2}).Sample(kLogits, std::vector<int32_t>{-1, 5, 1 << 30}).id, 1);
}

TEST(Sampler, SameSeedSameTokensOtherSeedOthers) {
  const auto sequence = [](uint64_t seed) {
    Sampler sampler({.temperature = 1, .seed = seed});
    std::vector<int32_t> ids;
    for (int i = 0; i < 50; ++i) ids.push_back(sampler.Sample(kLogits, {}).id);
    return ids;
  };
  EXPECT_EQ(sequence(1), sequence(1));
  EXPECT_NE(sequence(1), sequence(2));
}

// With 20000 draws the standard deviation of a frequency is at most 0.0035; the bound is above four of them.
TEST(Sampler, FrequenciesFollowTheDistribution) {
  for (double temperature : {0.5, 1.0, 2.0}) {
    const auto counts = Draw({.temperature = temperature, .seed = 3}, kLogits, 20000);
    for (size_t id = 0; id < kLogits.size(); ++id) {
      const auto it = counts.find(static_cast<int32_t>(id));
      EXPECT_NEAR(it == counts.end() ? 0 : it->second / 20000.0, Probability(kLogits, id, temperature), 0.015)
          << id;
    }
  }
}

TEST(Sampler, TopKKeepsTheBestAndTheirProportions) {
  const auto counts = Draw({.temperature = 1, .top_k = 2, .seed = 4}, kLogits, 20000);
  ASSERT_EQ(counts.size(), 2u);
  const double share = 1 / (1 + std::exp(-0.5));  // of token 1 against token 4
  EXPECT_NEAR(counts.at(1) / 20000.0, share, 0.015);
  EXPECT_EQ(Draw({.temperature = 1, .top_k = 1}, kLogits, 100).size(), 1u);
  EXPECT_GT(Draw({.temperature = 1, .top_k = 100}, kLogits, 2000).size(), 3u);
}

TEST(Sampler, TopPKeepsTheSmallestSetWithThatMass) {
  // Probabilities .5, .25, .125, .125.
  const std::vector<float> logits = {0, std::log(0.5f), std::log(0.25f), std::log(0.25f)};
  EXPECT_EQ(Draw({.temperature = 1, .top_p = 0.4}, logits, 500).size(), 1u);
  EXPECT_EQ(Draw({.temperature = 1, .top_p = 0.6}, logits, 500).size(), 2u);
  EXPECT_EQ(Draw({.temperature = 1, .top_p = 0.8}, logits, 500).size(), 3u);
  EXPECT_EQ(Draw({.temperature = 1, .top_p = 1}, logits, 500).size(), 4u);
  EXPECT_EQ(Draw({.temperature = 1, .top_p = 1e-9}, logits, 500).size(), 1u);
}

TEST(Sampler, TopPCountsWithinTopK) {
  // Of {.5, .25} the first has two thirds.
  const std::vector<float> logits = {0, std::log(0.5f), std::log(0.25f), std::log(0.25f)};
  EXPECT_EQ(Draw({.temperature = 1, .top_p = 0.6, .top_k = 2}, logits, 500).size(), 1u);
  EXPECT_EQ(Draw({.temperature = 1, .top_p = 0.7, .top_k = 2}, logits, 500).size(), 2u);
}

TEST(SamplingOptions, DefaultsAndLimitsAreValid) {
  EXPECT_TRUE(ValidateSamplingOptions({}).ok());
  EXPECT_TRUE(
      ValidateSamplingOptions({.temperature = 100, .top_p = 1, .top_k = 1 << 30, .repetition_penalty = 100})
          .ok());
}

TEST(SamplingOptions, ErrorsNameTheField) {
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinite = std::numeric_limits<double>::infinity();
  for (double value : {-0.1, 100.1, nan, infinite})
    EXPECT_EQ(FieldOf(ValidateSamplingOptions({.temperature = value})), "sampling.temperature") << value;
  for (double value : {0.0, -1.0, 1.01, nan})
    EXPECT_EQ(FieldOf(ValidateSamplingOptions({.top_p = value})), "sampling.top_p") << value;
  EXPECT_EQ(FieldOf(ValidateSamplingOptions({.top_k = -1})), "sampling.top_k");
  for (double value : {0.0, -1.0, 100.1, nan, infinite})
    EXPECT_EQ(FieldOf(ValidateSamplingOptions({.repetition_penalty = value})), "sampling.repetition_penalty")
        << value;
}

}  // namespace
}  // namespace cacheclip
