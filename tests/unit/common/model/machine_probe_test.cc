#include "common/model/machine_probe.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"

namespace cacheclip {
namespace {

ModelConfig SmallModel() {
  ModelConfig config;
  config.vocab_size = 100;
  config.hidden_size = 8;
  config.intermediate_size = 16;
  config.num_layers = 3;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 2;
  return config;
}

TEST(CostOfPass, CountsProductsByTheirShapes) {
  const PassCost cost = CostOfPass(SmallModel(), 5, 7);
  const double keys_and_values = 2 * 8 * 4, rest = 8 * 8 + 8 * 8 + 3 * 8 * 16;  // rest: q, o, MLP
  const double outputs = 2 * 5 + 1;  // of two layers for each row, of the last one for the last row
  EXPECT_DOUBLE_EQ(cost.linear_flops, 2 * (3 * 5 * keys_and_values + outputs * rest + 8 * 100));
  EXPECT_DOUBLE_EQ(cost.attention_flops, 4.0 * 4 * 2 * outputs * 7);
  EXPECT_DOUBLE_EQ(cost.exponentials, 4.0 * outputs * 7);
}

TEST(FloorSeconds, IsTheLongerOfProductsAndExponentials) {
  const PassCost cost{.linear_flops = 100, .attention_flops = 50, .exponentials = 30};
  MachineLimits limits{
      .gemm_flops_per_second = 20, .attention_flops_per_second = 5, .exponentials_per_second = 6};
  EXPECT_DOUBLE_EQ(FloorSeconds(cost, limits), 15);
  limits.exponentials_per_second = 1;
  EXPECT_DOUBLE_EQ(FloorSeconds(cost, limits), 30);
}

TEST(MachineLimits, AreMeasured) {
  const TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.num_layers = 1});
  const MachineLimits limits = MeasureMachineLimits(*model, absl::ZeroDuration());
  EXPECT_GT(limits.attention_flops_per_second, 0);
  EXPECT_GE(limits.gemm_flops_per_second, limits.attention_flops_per_second);
  EXPECT_GT(limits.read_bytes_per_second, 0);
  EXPECT_GT(limits.exponentials_per_second, 0);
  EXPECT_GE(limits.num_threads, 1);
}

}  // namespace
}  // namespace cacheclip
