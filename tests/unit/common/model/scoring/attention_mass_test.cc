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
  const at::Tensor logits = AttentionLogits(*cache, 0, queries, slots, 2);
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

TEST(HeadsOfLayer, PicksThoseOfTheLayer) {
  EXPECT_THAT(HeadsOfLayer({{1, 4}, {2, 0}, {1, 2}}, 1), ElementsAre(4, 2));
  EXPECT_THAT(HeadsOfLayer({{1, 4}}, 0), ElementsAre());
}

TEST(PoolHeads, MeanOrMaximumOverHeadsThenMeanOverRows) {
  // [2 heads, 2 rows, 2 slots]
  const at::Tensor mass = at::tensor({0.1f, 0.9f, 0.3f, 0.7f, 0.5f, 0.5f, 0.1f, 0.9f}).view({2, 2, 2});
  EXPECT_THAT(ToVector(PoolHeads(mass, {}, HeadPooling::kMean)),
              ElementsAre(testing::FloatEq(0.25f), testing::FloatEq(0.75f)));
  EXPECT_THAT(ToVector(PoolHeads(mass, {}, HeadPooling::kMax)),
              ElementsAre(testing::FloatEq(0.4f), testing::FloatEq(0.9f)));
  EXPECT_THAT(ToVector(PoolHeads(mass, {0}, HeadPooling::kMean)),
              ElementsAre(testing::FloatEq(0.2f), testing::FloatEq(0.8f)));
}

}  // namespace
}  // namespace cacheclip
