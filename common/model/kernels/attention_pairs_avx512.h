// Scores of attention in bf16: products of a block's queries (attention_block_avx512.h) with keys as they
// lie. Included by kernel files alone (needs their compile flags).
#pragma once

#include <cstddef>

#include "common/model/kernels/attention_primitives_avx512.h"
#include "common/model/kernels/byte_keys_avx512.h"

namespace cacheclip::avx512 {
namespace {

// Queries of a block's lanes, and their products with keys in fp32, each to be multiplied by its lane's
// `scale`.
template <int D, int NV>
struct PairScores {
  static constexpr int L = 16 * NV;
  static constexpr bool kRoundsKeys = false;
  alignas(64) pair_t q[D / 2][L];  // Q^T, pairs of d
  alignas(64) float scale[L];
  const pair_t* keys;
  const float* slot_bias;

  void begin(const AttentionArguments& a, const ByteKeys&, int kv_head) {
    keys = (const pair_t*)(a.keys + (size_t)kv_head * a.capacity * D), slot_bias = a.slot_bias;
  }

  void take(int i, const Bf16* query, float c2) {
    const auto* src = (const pair_t*)query;
    for (int k = 0; k < D / 2; ++k) q[k][i] = src[k];
    scale[i] = c2;
  }

  // c = bias + K·Q^T of the keys from k on.
  void products(int k, __m512 (&c)[kTileRows][NV]) const {
    broadcast_rows(slot_bias + k, c);
    mma<1, 16, 16, L>(keys + (size_t)(k / 16) * 8 * D + k % 16, q[0], D / 2, c);
  }
};

}  // namespace
}  // namespace cacheclip::avx512
