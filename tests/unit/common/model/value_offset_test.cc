#include "common/model/value_offset.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "common/model/kv_cache.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"

namespace cacheclip {
namespace {

TEST(ValueOffset, AddsAShareOfTheMeanChangeToOtherValuesAndLeavesKeysAlone) {
  TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.vocab_size = 100, .num_layers = 2, .max_positions = 128});
  const auto session = InferenceSession::Create(model, 16).value();
  Rows rows;
  rows.Append(std::vector<int32_t>{5, 6, 7, 8, 9, 10}, 0, 0);
  ASSERT_TRUE(session->Run(rows).ok());
  const KvCache& cache = session->cache();
  std::vector<at::Tensor> keys, values;
  for (int layer = 0; layer < 2; ++layer) {
    keys.push_back(cache.Keys(layer, 0, 6));
    values.push_back(cache.Values(layer, 0, 6));
  }

  const std::vector<int32_t> changed = {1, 3}, others = {2, 5};
  ValueOffset offset(*session, changed, 2);
  const Rows other_tokens{.ids = {50, 60}, .slots = changed, .positions = changed};
  ASSERT_TRUE(session->Run(other_tokens).ok());
  std::vector<at::Tensor> mean;
  for (int layer = 0; layer < 2; ++layer) {
    const at::Tensor difference = cache.Values(layer, 0, 6) - values[static_cast<size_t>(layer)];
    mean.push_back((difference.select(1, 1) + difference.select(1, 3)) / 2);
    EXPECT_GT(mean.back().abs().max().item<float>(), 1e-4);
  }
  offset.AddTo(others, 0.5);
  for (size_t layer = 0; layer < 2; ++layer) {
    const at::Tensor now = cache.Values(static_cast<int>(layer), 0, 6);
    for (const int64_t slot : {2, 5})
      EXPECT_LT(
          (now.select(1, slot) - values[layer].select(1, slot) - mean[layer] * 0.5).abs().max().item<float>(),
          1e-5);
    for (const int64_t slot : {0, 4})
      EXPECT_TRUE(now.select(1, slot).equal(values[layer].select(1, slot))) << slot;
    const at::Tensor keys_now = cache.Keys(static_cast<int>(layer), 0, 6);
    for (const int64_t slot : {0, 2, 4, 5})
      EXPECT_TRUE(keys_now.select(1, slot).equal(keys[layer].select(1, slot))) << slot;
  }
}

}  // namespace
}  // namespace cacheclip
