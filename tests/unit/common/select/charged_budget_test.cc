#include "common/select/charged_budget.h"

#include <gtest/gtest.h>

#include <vector>

namespace cacheclip {
namespace {

TEST(ChargedBudget, UniformRecomputeCostsItsShareOfTokens) {
  const std::vector<int64_t> fresh(30, 89);
  const ChargedBudget charged = ChargePerLayer(fresh, /*num_chunk_tokens=*/445);
  EXPECT_EQ(charged.fresh_layer_tokens, 30 * 89);
  EXPECT_DOUBLE_EQ(charged.ratio(), 0.2);
}

TEST(ChargedBudget, LayerRunInFullIsChargedInFull) {
  const std::vector<int64_t> fresh = {400, 40, 40, 40};
  EXPECT_DOUBLE_EQ(ChargePerLayer(fresh, 400).ratio(), 520.0 / 1600.0);
}

TEST(ChargedBudget, RequestWithoutChunksCostsNothing) {
  EXPECT_EQ(ChargePerLayer(std::vector<int64_t>(30, 0), 0).ratio(), 0.0);
}

}  // namespace
}  // namespace cacheclip
