#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include "tests/unit/common/model/kv_cache_contract.h"

namespace cacheclip {
namespace {

class PlainCache : public testing::TestWithParam<at::ScalarType> {
 protected:
  std::unique_ptr<KvCache> Make(int32_t capacity) const {
    return MakePlainKvCache(CacheConfig(shape_), 2, capacity, GetParam(), at::kCPU);
  }
  const CacheShape shape_ = {6, 2, 32};
};

TEST_P(PlainCache, ReadsBackExactly) {
  const auto cache = Make(40);
  EXPECT_TRUE(RowsReadBack(*cache, shape_, Neighbours(3, 20), GetParam()));
  EXPECT_TRUE(RowsReadBack(*cache, shape_, {0, 7, 8, 30, 39}, GetParam()));
}

TEST_P(PlainCache, AddsToKeysBeforeRope) {
  EXPECT_TRUE(AddsBeforeRope(*Make(40), shape_, {0, 7, 8, 30, 39}, GetParam(), 1e-6));
}

TEST_P(PlainCache, PlaceEqualsRotateThenStoreBitForBit) {
  EXPECT_TRUE(PlaceEqualsRotateThenStore(*Make(64), *Make(64), shape_, 5, 33, GetParam()));
}

TEST_P(PlainCache, PlaceInt8RoundsOnce) {
  EXPECT_TRUE(PlaceInt8EqualsDequantiseRotateRound(*Make(64), shape_, 5, 33, GetParam()));
}

// Rows in more than one block of 128, each attending to its own limit.
TEST_P(PlainCache, AttendsToSlotsUpToEachRowsOwnAndInLocalHeadsToFewer) {
  const auto cache = Make(300);
  const at::Tensor keys = RandomRows(300, 2, 32, GetParam()), values = RandomRows(300, 2, 32, GetParam());
  cache->Store(0, keys, values, Neighbours(0, 300));
  std::vector<int32_t> slots;
  for (int32_t slot = 0; slot < 300; slot += slot % 3 ? 1 : 2) slots.push_back(slot);
  const int64_t count = static_cast<int64_t>(slots.size());
  const at::Tensor queries = RandomRows(count, 6, 32, GetParam());
  cache->SetAttentionWeights(20, std::vector<float>(130, 0.25f));
  at::Tensor slot_weights = at::ones({300});
  slot_weights.slice(0, 20, 150).fill_(0.25);
  std::vector<int32_t> first_slots(slots.size());
  for (size_t i = 0; i < slots.size(); i += 2)
    first_slots[i] = std::max(0, slots[i] - 9) / kLocalBlock * kLocalBlock;
  const uint8_t local_heads[] = {0, 1};
  const at::Tensor out = cache->Attend(0, queries, slots, {local_heads, first_slots.data()}, false)
                             .to(at::kFloat)
                             .view({count, 6, 32});
  for (int64_t row = 0; row < count; row += 13)
    for (int64_t head = 0; head < 6; ++head) {
      const int64_t end = slots[static_cast<size_t>(row)] + 1;
      const at::Tensor k = keys.slice(0, 0, end).select(1, head / 3).to(at::kFloat);
      const at::Tensor v = values.slice(0, 0, end).select(1, head / 3).to(at::kFloat);
      const at::Tensor scores = at::matmul(k, queries[row][head].to(at::kFloat)) / std::sqrt(32.0);
      at::Tensor weights = scores.exp() * slot_weights.slice(0, 0, end);
      const int64_t first = first_slots[static_cast<size_t>(row)];
      if (head >= 3 && first > kLocalBlock) weights.slice(0, kLocalBlock, first).zero_();
      weights /= weights.sum();
      const double bound = GetParam() == at::kFloat ? 1e-5 : 2e-2;  // the output's rounding to bf16
      EXPECT_LT((at::matmul(weights, v) - out[row][head]).abs().max().item<double>(), bound) << row;
    }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, PlainCache, testing::Values(at::kFloat, at::kBFloat16));

}  // namespace
}  // namespace cacheclip
