// Reads tokens out of the packed cache layout (attention_avx512.h) as they were before RoPE, and adds to
// them: by whole runs of 16 slots, of which some columns may belong to tokens that are not asked for.
#include <immintrin.h>

#include <algorithm>
#include <array>

#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/packed_slots_avx512.h"
#include "common/model/kernels/vector_avx512.h"

namespace cacheclip::avx512 {
namespace {

constexpr int kRun = 16;

// visit(first slot, row of each slot's token or -1) for every run that holds one of `slots`.
template <typename Visit>
void ForEachRun(const int32_t* slots, int num_tokens, const Visit& visit) {
  for (int i = 0; i < num_tokens;) {
    const int first = slots[i] / kRun * kRun;
    std::array<int, kRun> rows;
    rows.fill(-1);
    for (; i < num_tokens && slots[i] < first + kRun; ++i) rows[static_cast<size_t>(slots[i] - first)] = i;
    visit(first, rows);
  }
}

inline void StoreHalf(Bf16* out, __m512i numbers) {  // the lower halves of 16 numbers
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(numbers));
}

// 16 pairs += (even, odd), in fp32.
inline void AddToPairs(Pair* pairs, __m512 even, __m512 odd) {
  const __m512i line = _mm512_load_si512(pairs);
  const auto narrow = [](__m512 x) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x)); };
  _mm512_store_si512(pairs,
                     _mm512_or_si512(narrow(_mm512_add_ps(WidenLow(line), even)),
                                     _mm512_slli_epi32(narrow(_mm512_add_ps(WidenHigh(line), odd)), 16)));
}

struct Rotation {
  const float *cosine, *sine;  // [num_tokens, head_dim / 2]
};

inline void LoadKeyRun(const Pair* from, const std::array<int, kRun>& rows, const Rotation& back,
                       int head_dim, Bf16* out, size_t row_stride) {
  const int half = head_dim / 2;
  for (int i = 0; i < half; i += 32) {
    __m512i first[kRun], second[kRun];
    for (int pair = 0; pair < 16; ++pair) {
      first[pair] = _mm512_load_si512(from + kRun * (i / 2 + pair));
      second[pair] = _mm512_load_si512(from + kRun * ((half + i) / 2 + pair));
    }
    Transpose16(first);
    Transpose16(second);
    for (int column = 0; column < kRun; ++column) {
      const int row = rows[static_cast<size_t>(column)];
      if (row < 0) continue;
      const float* const cosine = back.cosine + static_cast<size_t>(row) * half + i;
      const float* const sine = back.sine + static_cast<size_t>(row) * half + i;
      Bf16* const to = out + static_cast<size_t>(row) * row_stride + i;
      const __m512i a = first[column], b = second[column];
      RotatePairs(Widen(_mm512_castsi512_si256(a)), Widen(_mm512_castsi512_si256(b)), cosine, sine, to,
                  to + half);
      RotatePairs(Widen(_mm512_extracti64x4_epi64(a, 1)), Widen(_mm512_extracti64x4_epi64(b, 1)), cosine + 16,
                  sine + 16, to + 16, to + half + 16);
    }
  }
}

inline void AddToKeyRun(Pair* to, const std::array<int, kRun>& rows, const Rotation& forth, int head_dim,
                        const Bf16* changes, size_t row_stride) {
  const int half = head_dim / 2;
  for (int i = 0; i < half; i += 16) {
    __m512 first[kRun], second[kRun];  // of the halves; by slot, then by component
    for (int column = 0; column < kRun; ++column) {
      first[column] = second[column] = _mm512_setzero_ps();
      const int row = rows[static_cast<size_t>(column)];
      if (row < 0) continue;
      const Bf16* const change = changes + static_cast<size_t>(row) * row_stride + i;
      const size_t angle = static_cast<size_t>(row) * half + i;
      const __m512 x = Widen(change), y = Widen(change + half);
      const __m512 c = _mm512_loadu_ps(forth.cosine + angle), s = _mm512_loadu_ps(forth.sine + angle);
      first[column] = _mm512_fmsub_ps(x, c, _mm512_mul_ps(y, s));
      second[column] = _mm512_fmadd_ps(y, c, _mm512_mul_ps(x, s));
    }
    Transpose16(first);
    Transpose16(second);
    for (int d = 0; d < 16; d += 2) {
      AddToPairs(to + kRun * ((i + d) / 2), first[d], first[d + 1]);
      AddToPairs(to + kRun * ((half + i + d) / 2), second[d], second[d + 1]);
    }
  }
}

inline void LoadValueRun(const Pair* from, const std::array<int, kRun>& rows, int head_dim, Bf16* out,
                         size_t row_stride) {
  for (int column = 0; column < kRun; column += 2, from += head_dim) {
    const int even = rows[static_cast<size_t>(column)], odd = rows[static_cast<size_t>(column) + 1];
    for (int i = 0; i < head_dim; i += 16) {
      const __m512i line = _mm512_load_si512(from + i);
      if (even >= 0) StoreHalf(out + static_cast<size_t>(even) * row_stride + i, line);
      if (odd >= 0) StoreHalf(out + static_cast<size_t>(odd) * row_stride + i, _mm512_srli_epi32(line, 16));
    }
  }
}

inline void AddToValueRun(Pair* to, const std::array<int, kRun>& rows, int head_dim, const Bf16* changes,
                          size_t row_stride) {
  for (int column = 0; column < kRun; column += 2, to += head_dim) {
    const int even = rows[static_cast<size_t>(column)], odd = rows[static_cast<size_t>(column) + 1];
    if (even < 0 && odd < 0) continue;
    const auto change = [&](int row, int i) {
      return row < 0 ? _mm512_setzero_ps() : Widen(changes + static_cast<size_t>(row) * row_stride + i);
    };
    for (int i = 0; i < head_dim; i += 16) AddToPairs(to + i, change(even, i), change(odd, i));
  }
}

}  // namespace

void LoadUnrotated(const CacheSlice& cache, const int32_t* slots, int num_tokens, const float* cosine,
                   const float* sine, Bf16* rows) {
  const int width = cache.num_kv_heads * cache.head_dim;
  const size_t stride = 2 * static_cast<size_t>(width);
  ForEachRun(slots, num_tokens, [&](int first, const std::array<int, kRun>& row_of) {
    for (int head = 0; head < cache.num_kv_heads; ++head) {
      Bf16* const out = rows + static_cast<size_t>(head) * cache.head_dim;
      LoadValueRun(reinterpret_cast<const Pair*>(ValueSlot(cache, head, first)), row_of, cache.head_dim, out,
                   stride);
      LoadKeyRun(KeySlot(cache, head, first), row_of, {cosine, sine}, cache.head_dim, out + width, stride);
    }
  });
}

void AddUnrotated(const CacheSlice& cache, const int32_t* slots, int num_tokens, const float* cosine,
                  const float* sine, const Bf16* values, const Bf16* keys) {
  const auto stride = static_cast<size_t>(cache.num_kv_heads) * static_cast<size_t>(cache.head_dim);
  ForEachRun(slots, num_tokens, [&](int first, const std::array<int, kRun>& row_of) {
    for (int head = 0; head < cache.num_kv_heads; ++head) {
      const size_t of_head = static_cast<size_t>(head) * cache.head_dim;
      AddToValueRun(reinterpret_cast<Pair*>(ValueSlot(cache, head, first)), row_of, cache.head_dim,
                    values + of_head, stride);
      AddToKeyRun(KeySlot(cache, head, first), row_of, {cosine, sine}, cache.head_dim, keys + of_head,
                  stride);
    }
  });
}

}  // namespace cacheclip::avx512
