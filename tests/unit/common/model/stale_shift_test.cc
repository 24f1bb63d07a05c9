#include "common/model/stale_shift.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"

namespace cacheclip {
namespace {

constexpr int kLayer = 1;
constexpr int32_t kFirst = 3;  // slots before it are nobody's

// A cache full of made-up stale KV, and what a pass would compute for its fresh tokens. Tokens vary in
// `variety` directions only, if given, around a mean far from zero: as KV of real tokens does.
struct Fixture {
  Fixture(ComputeDtype dtype, int32_t num_tokens, int32_t fresh_every, int64_t variety = 0)
      : model(
            LoadTinyModel(folder.path(), {.vocab_size = 100, .num_layers = 2, .max_positions = 1024}, dtype)),
        cache(KvCache::Create(*model, kFirst + num_tokens).value()),
        kv_heads(model->config().num_kv_heads),
        dim(model->config().head_dim),
        stale_keys(MadeUp(num_tokens, variety)),
        stale_values(MadeUp(num_tokens, variety)) {
    for (int32_t i = 0; i < num_tokens; ++i) (i % fresh_every == 0 ? fresh : stale).push_back(kFirst + i);
    std::vector<int32_t> all(static_cast<size_t>(num_tokens));
    std::iota(all.begin(), all.end(), kFirst);
    for (int layer = 0; layer < 2; ++layer)
      cache->Store(layer, Rotate(stale_keys, model->tensors().rotations->Of(all)), stale_values, all);
  }

  at::Tensor MadeUp(int64_t num_tokens, int64_t variety) const {
    const at::Tensor rows = variety == 0 ? at::randn({num_tokens, kv_heads * dim})
                                         : at::mm(at::randn({num_tokens, variety}) / std::sqrt(variety),
                                                  at::randn({variety, kv_heads * dim})) +
                                               3 * at::randn({1, kv_heads * dim});
    return rows.view({num_tokens, kv_heads, dim});
  }

  at::Tensor Of(const at::Tensor& tokens, const std::vector<int32_t>& slots) const {
    std::vector<at::Tensor> rows;
    for (const int32_t slot : slots) rows.push_back(tokens.slice(0, slot - kFirst, slot - kFirst + 1));
    return at::cat(rows);
  }

  // Of the fresh tokens, and a row behind them that is none.
  Projections Computed(const at::Tensor& keys, const at::Tensor& values) const {
    const at::Tensor more = at::randn({1, kv_heads, dim});
    return {.unrotated_keys = at::cat({Of(keys, fresh), more}), .values = at::cat({Of(values, fresh), more})};
  }

  void Shift(const Projections& projections, double share, int layer = kLayer) {
    StaleShift(model->tensors(), *cache, {.fresh = fresh, .stale = stale, .share = share})
        .MoveLayer(layer, projections);
  }

  // What the cache holds of `slots` now: [tokens, kv_heads, dim], keys before RoPE.
  at::Tensor Values(const std::vector<int32_t>& slots, int layer = kLayer) const {
    return Of(cache->Values(layer, kFirst, cache->capacity()).transpose(0, 1), slots);
  }
  at::Tensor Keys(const std::vector<int32_t>& slots, int layer = kLayer) const {
    RotationTable back = model->tensors().rotations->Of(slots);
    back.sine = -back.sine;
    return Rotate(Of(cache->Keys(layer, kFirst, cache->capacity()).transpose(0, 1), slots), back);
  }

  TempFolder folder;
  std::shared_ptr<const LanguageModel> model;
  std::unique_ptr<KvCache> cache;
  int64_t kv_heads, dim;
  at::Tensor stale_keys, stale_values;  // [tokens, kv_heads, dim]
  std::vector<int32_t> fresh, stale;
};

double Largest(const at::Tensor& difference) { return difference.abs().max().item<double>(); }

class StaleShiftTest : public testing::TestWithParam<ComputeDtype> {
 protected:
  // Of elements of a few units, by how the cache and the shift's arithmetic round them.
  double Rounding() const { return GetParam() == ComputeDtype::kBfloat16 ? 0.04 : 1e-4; }
};

TEST_P(StaleShiftTest, MovesStaleTokensByAChangeThatAllFreshTokensShare) {
  Fixture f(GetParam(), 160, 4);  // 40 fresh
  const at::Tensor value_change = at::randn({f.kv_heads, f.dim}), key_change = at::randn({f.kv_heads, f.dim});
  f.Shift(f.Computed(f.stale_keys + key_change, f.stale_values + value_change), 0.6);
  const double share = 0.6 * 40 / (40 + 8);
  EXPECT_LT(Largest(f.Values(f.stale) - f.Of(f.stale_values, f.stale) - value_change * share), Rounding());
  EXPECT_LT(Largest(f.Keys(f.stale) - f.Of(f.stale_keys, f.stale) - key_change * share / 2), Rounding());
}

TEST_P(StaleShiftTest, LeavesFreshTokensAndOtherLayersToThePass) {
  Fixture f(GetParam(), 40, 3);
  f.Shift(f.Computed(f.stale_keys + 1, f.stale_values + 1), 1);
  EXPECT_LT(Largest(f.Values(f.fresh) - f.Of(f.stale_values, f.fresh)), Rounding());
  EXPECT_LT(Largest(f.Keys(f.fresh) - f.Of(f.stale_keys, f.fresh)), Rounding());
  f.Shift(f.Computed(f.stale_keys + 1, f.stale_values + 1), 1, 0);
  EXPECT_LT(Largest(f.Values(f.stale, 0) - f.Of(f.stale_values, f.stale)), Rounding())
      << "the first layer's values do not depend on what stands before";
}

TEST_P(StaleShiftTest, LearnsFromFreshTokensHowAChangeDependsOnTheToken) {
  Fixture f(GetParam(), 1000, 2, 16);  // 500 fresh: more than the regression looks at
  const int64_t width = f.kv_heads * f.dim;
  const at::Tensor map = at::randn({width, width}) / std::sqrt(static_cast<double>(width));
  const at::Tensor change = at::mm(f.stale_values.flatten(1), map).view_as(f.stale_values);
  f.Shift(f.Computed(f.stale_keys, f.stale_values + change), 1);
  const at::Tensor true_change = f.Of(change, f.stale);
  const at::Tensor left = f.Of(f.stale_values, f.stale) + true_change - f.Values(f.stale);
  EXPECT_LT(left.norm().item<double>(), 0.3 * true_change.norm().item<double>());
}

TEST_P(StaleShiftTest, LearnsFromFewKindsOfTokens) {  // landmarks are nearly the same then
  Fixture f(GetParam(), 900, 2, 2);
  f.Shift(f.Computed(f.stale_keys, f.stale_values * 1.5), 1);
  const at::Tensor stale = f.Of(f.stale_values, f.stale);
  EXPECT_LT((stale * 1.5 - f.Values(f.stale)).norm().item<double>(), 0.1 * stale.norm().item<double>());
}

TEST_P(StaleShiftTest, IsCarefulWithOneFreshToken) {
  Fixture f(GetParam(), 9, 9);
  f.Shift(f.Computed(f.stale_keys, f.stale_values + 1), 0.9);
  EXPECT_LT(Largest(f.Values(f.stale) - f.Of(f.stale_values, f.stale) - 0.1), Rounding());
}

INSTANTIATE_TEST_SUITE_P(Dtypes, StaleShiftTest,
                         testing::Values(ComputeDtype::kFloat32, ComputeDtype::kBfloat16));

}  // namespace
}  // namespace cacheclip
