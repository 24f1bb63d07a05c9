#include "common/model/scoring/attention_mass.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace cacheclip {
namespace {

using testing::ElementsAre;

TEST(AttentionLogits, AreScaledProductsUpToEachRowsSlot) {
  ModelConfig config;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 8;
  const auto cache = MakePlainKvCache(config, 1, 10, at::kFloat, at::kCPU);
  const at::Tensor keys = at::randn({10, 2, 8}), queries = at::randn({2, 4, 8});
  cache->Store(0, keys, keys, std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  const std::vector<int32_t> slots = {3, 6};
  const at::Tensor logits = AttentionLogits(*cache, 0, queries, slots);
  ASSERT_EQ(logits.sizes(), (at::IntArrayRef{4, 2, 7}));
  for (int head = 0; head < 4; ++head)
    for (int row = 0; row < 2; ++row)
      for (int slot = 0; slot < 7; ++slot) {
        const float ours = logits[head][row][slot].item<float>();
        if (slot > slots[static_cast<size_t>(row)]) {
          EXPECT_EQ(ours, -HUGE_VALF);
        } else {
          EXPECT_NEAR(ours, (queries[row][head] * keys[slot][head / 2]).sum().item<float>() / std::sqrt(8.0),
                      1e-5);
        }
      }
}

// [2 heads, 2 rows, 2 slots]
at::Tensor TestMass() { return at::tensor({0.1f, 0.9f, 0.3f, 0.7f, 0.5f, 0.5f, 0.1f, 0.9f}).view({2, 2, 2}); }

std::vector<float> Collect(const ScoringHeads& heads, LayerBand band) {
  MassCollector collector(heads, band);
  for (int layer = 0; layer < 4; ++layer)
    if (collector.Counts(layer)) collector.Add(layer, TestMass() * layer);
  return collector.Total();
}

TEST(MassCollector, TakesMeanOrMaximumOverHeadsThenMaximumOverRowsAndMeanOverLayers) {
  EXPECT_THAT(Collect({}, {1, 2}), ElementsAre(testing::FloatEq(0.3f), testing::FloatEq(0.8f)));
  EXPECT_THAT(Collect({}, {1, 3}), ElementsAre(testing::FloatEq(0.45f), testing::FloatEq(1.2f)));
  EXPECT_THAT(Collect({.pooling = HeadPooling::kMax}, {1, 2}),
              ElementsAre(testing::FloatEq(0.5f), testing::FloatEq(0.9f)));
}

TEST(MassCollector, PoolsRowsAsAsked) {
  EXPECT_THAT(Collect({.rows = RowPooling::kLater}, {1, 2}),
              ElementsAre(testing::FloatEq((0.3f + 2 * 0.2f) / 3), testing::FloatEq((0.7f + 2 * 0.8f) / 3)));
  EXPECT_THAT(Collect({.rows = RowPooling::kMean}, {1, 2}),
              ElementsAre(testing::FloatEq(0.25f), testing::FloatEq(0.75f)));
}

TEST(MassCollector, SumsTheListedHeadsAlone) {
  const ScoringHeads heads{.heads = {{1, 0}, {3, 1}}, .rows = RowPooling::kMean};
  EXPECT_THAT(Collect(heads, {1, 4}),
              ElementsAre(testing::FloatEq(0.2f + 3 * 0.3f), testing::FloatEq(0.8f + 3 * 0.7f)));
  EXPECT_FALSE(MassCollector(heads, {1, 4}).Counts(2)) << "no head of that layer is listed";
}

TEST(AppendHeadScores, KeepsEveryHeadApart) {
  std::vector<HeadScores> scores;
  AppendHeadScores(7, TestMass(), scores);
  ASSERT_EQ(scores.size(), 2);
  EXPECT_EQ(scores[1].id.layer, 7);
  EXPECT_EQ(scores[1].id.head, 1);
  EXPECT_THAT(scores[0].scores, ElementsAre(testing::FloatEq(0.2f), testing::FloatEq(0.8f)));
}

}  // namespace
}  // namespace cacheclip
