// Attention over any cache compared with the plain one's, on random shapes and slots. A function.
#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "tests/unit/common/model/kv_cache_contract.h"

namespace cacheclip {

// Attention of random rows: the root mean square difference to the plain cache's, relative, is below `bound`.
template <typename Make>
void ExpectAttendsAsThePlainCache(const Make& make, int64_t head_dim, at::ScalarType dtype, double bound) {
  std::mt19937 random(5);
  const auto pick = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int round = 0; round < 50; ++round) {
    const int kv_heads = pick(1, 3), slots_used = pick(1, 350);
    const CacheShape shape{kv_heads * pick(1, 5), kv_heads, head_dim};
    const std::unique_ptr<KvCache> ours = make(shape, slots_used);
    const auto plain = MakePlainKvCache(CacheConfig(shape), 2, slots_used, dtype, at::kCPU);
    const at::Tensor keys = RandomRows(slots_used, kv_heads, head_dim, dtype),
                     values = RandomRows(slots_used, kv_heads, head_dim, dtype);
    std::vector<int32_t> slots = Neighbours(0, slots_used);
    for (KvCache* cache : {ours.get(), plain.get()}) cache->Store(1, keys, values, slots);
    std::shuffle(slots.begin(), slots.end(), random);
    slots.resize(static_cast<size_t>(pick(1, slots_used)));
    std::sort(slots.begin(), slots.end());
    const at::Tensor queries =
        RandomRows(static_cast<int64_t>(slots.size()), shape.num_heads, head_dim, dtype);
    const int begin = pick(0, slots_used), end = pick(begin, slots_used);
    for (KvCache* cache : {ours.get(), plain.get()}) {
      cache->SetAttentionWeights(begin, std::vector<float>(static_cast<size_t>(end - begin), 0.3f));
      const int middle = (begin + end) / 2;
      cache->SetAttentionWeights(middle, std::vector<float>(static_cast<size_t>(end - middle), 1.0f));
    }
    std::vector<int32_t> first_slots;
    for (const int32_t slot : slots) first_slots.push_back(slot / kLocalBlock * kLocalBlock);
    const uint8_t local_heads[] = {1, 0, 1};
    const bool few = static_cast<int64_t>(slots.size()) * shape.num_heads / kv_heads <= 16;
    const LocalRows local{few || round % 2 == 0 ? nullptr : local_heads, first_slots.data()};
    const at::Tensor expected = plain->Attend(1, queries, slots, local, false).to(at::kFloat);
    const at::Tensor difference = ours->Attend(1, queries, slots, local, false).to(at::kFloat) - expected;
    EXPECT_LT((difference.norm() / expected.norm()).item<double>(), bound) << "round " << round;
  }
}

}  // namespace cacheclip
