// Query-key products of a few rows with all keys of the packed cache layout (attention_avx512.h): slots lie
// in the lanes as they do in memory, and queries are broadcast to them.
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/attention_primitives_avx512.h"

namespace cacheclip::avx512 {
namespace {

constexpr int kQueries = 4, kVectors = kSlotAlignment / 16;  // of a register tile

// [num_heads][rows, whole tiles][head_dim]: each head's queries together, the last one repeated.
std::vector<Bf16> ByHead(const LogitsArguments& a, int padded_rows) {
  const auto dim = static_cast<size_t>(a.cache.head_dim);
  std::vector<Bf16> queries(static_cast<size_t>(a.num_heads * padded_rows) * dim);
  Bf16* to = queries.data();
  for (int head = 0; head < a.num_heads; ++head)
    for (int row = 0; row < padded_rows; ++row, to += dim)
      std::memcpy(to,
                  a.queries + static_cast<size_t>(std::min(row, a.num_rows - 1) * a.num_heads + head) * dim,
                  dim * sizeof(Bf16));
  return queries;
}

// One tile of queries against the kSlotAlignment slots from `slot` on.
template <int D>
void Tile(const LogitsArguments& a, const pair_t* queries, const pair_t* keys, int slot, int num_rows,
          float* out) {
  __m512 sums[kQueries][kVectors] = {};
  mma<D / 2, 1, 8 * D, 16>(queries, keys + static_cast<size_t>(slot / 16) * 8 * D, D / 2, sums);
  for (int row = 0; row < num_rows; ++row, out += a.num_slots)
    for (int v = 0; v < kVectors; ++v) {
      const int left = std::clamp(a.num_slots - slot - 16 * v, 0, 16);
      _mm512_mask_storeu_ps(out + slot + 16 * v, static_cast<__mmask16>((1u << left) - 1),
                            _mm512_mul_ps(sums[row][v], _mm512_set1_ps(a.scale)));
    }
}

template <int D>
void Run(const LogitsArguments& a) {
  const int group = a.num_heads / a.cache.num_kv_heads;
  const int padded_rows = (a.num_rows + kQueries - 1) / kQueries * kQueries;
  const std::vector<Bf16> queries = ByHead(a, padded_rows);
#pragma omp parallel for collapse(2) schedule(static) num_threads(a.num_threads)
  for (int kv_head = 0; kv_head < a.cache.num_kv_heads; ++kv_head)
    for (int slot = 0; slot < a.num_slots; slot += kSlotAlignment) {
      const auto* const keys =
          reinterpret_cast<const pair_t*>(a.cache.keys + static_cast<size_t>(kv_head) * a.cache.capacity * D);
      for (int head = kv_head * group; head < (kv_head + 1) * group; ++head)
        for (int row = 0; row < a.num_rows; row += kQueries)
          Tile<D>(
              a, reinterpret_cast<const pair_t*>(&queries[static_cast<size_t>(head * padded_rows + row) * D]),
              keys, slot, std::min(kQueries, a.num_rows - row),
              a.out + static_cast<size_t>(head * a.num_rows + row) * a.num_slots);
    }
}

}  // namespace

void Logits(const LogitsArguments& a) { a.cache.head_dim == 64 ? Run<64>(a) : Run<128>(a); }

}  // namespace cacheclip::avx512
