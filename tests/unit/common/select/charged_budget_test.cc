#include "common/select/charged_budget.h"

#include <gtest/gtest.h>

#include <vector>

namespace cacheclip {
namespace {

TEST(ChargedBudget, UniformRecomputeCostsItsShareOfTokens) {
  const ChargedBudget charged =
      ChargeUniform(/*num_layers=*/30, /*num_fresh_tokens=*/89, /*num_chunk_tokens=*/445);
  EXPECT_EQ(charged.fresh_layer_tokens, 30 * 89);
  EXPECT_DOUBLE_EQ(charged.ratio(), 0.2);
}

TEST(ChargedBudget, LayerRunInFullIsChargedInFull) {
  const std::vector<int64_t> fresh = {400, 40, 40, 40};
  EXPECT_DOUBLE_EQ(ChargePerLayer(fresh, 400).ratio(), 520.0 / 1600.0);
}

TEST(ChargedBudget, PerLayerAgreesWithUniform) {
  const std::vector<int64_t> fresh(12, 33);
  EXPECT_DOUBLE_EQ(ChargePerLayer(fresh, 100).ratio(), ChargeUniform(12, 33, 100).ratio());
}

TEST(ChargedBudget, RequestWithoutChunksCostsNothing) { EXPECT_EQ(ChargeUniform(30, 0, 0).ratio(), 0.0); }

}  // namespace
}  // namespace cacheclip
