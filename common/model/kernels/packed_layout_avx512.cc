// Moves rows in and out of the packed cache layout (attention_avx512.h), dequantising and rotating on the way
// in at assembly.
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/packed_slots_avx512.h"
#include "common/model/kernels/vector_avx512.h"

namespace cacheclip::avx512 {
namespace {

inline void StoreKey(const CacheSlice& cache, int kv_head, int slot, const Bf16* key) {
  Pair* to = KeySlot(cache, kv_head, slot);
  const Pair* from = reinterpret_cast<const Pair*>(key);
  for (int i = 0; i < cache.head_dim / 2; ++i) to[16 * i] = from[i];
}

// Past the caches: for what is read again only after much else (a whole chunk's layers), so that lines need
// not be fetched before they are overwritten. Whoever does so ends with _mm_sfence().
enum class StoreMode { kThroughCache, kPastCache };

template <StoreMode kMode>
inline void StoreLine(Pair* to, __m512i line) {  // 64 bytes, aligned
  if constexpr (kMode == StoreMode::kPastCache) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), line);
  } else {
    _mm512_store_si512(to, line);
  }
}

// A whole block of 16 slots, the first one a multiple of 16: whole lines are written. head_dim is a multiple
// of 32.
template <StoreMode kMode>
inline void StoreKeyBlock(const CacheSlice& cache, int kv_head, int slot, const Bf16* keys,
                          size_t token_stride) {
  Pair* to = KeySlot(cache, kv_head, slot);
  for (int i = 0; i < cache.head_dim; i += 32) {
    __m512i rows[16];
    for (int t = 0; t < 16; ++t) rows[t] = _mm512_loadu_si512(keys + t * token_stride + i);
    Transpose16(rows);
    for (int pair = 0; pair < 16; ++pair) StoreLine<kMode>(to + 16 * (i / 2 + pair), rows[pair]);
  }
}

inline void StoreValue(const CacheSlice& cache, int kv_head, int slot, const Bf16* value) {
  Bf16* to = ValueSlot(cache, kv_head, slot);
  for (int i = 0; i < cache.head_dim; ++i) to[2 * i] = value[i];
}

// Two neighbouring slots, the first even: whole lines are written.
template <StoreMode kMode>
inline void StoreValuePair(const CacheSlice& cache, int kv_head, int slot, const Bf16* first,
                           const Bf16* second) {
  const __m512i low_half = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8,  //
                                            39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i high_half = _mm512_or_si512(low_half, _mm512_set1_epi16(16));
  Pair* to = reinterpret_cast<Pair*>(ValueSlot(cache, kv_head, slot));
  for (int i = 0; i < cache.head_dim; i += 32) {
    const __m512i a = _mm512_loadu_si512(first + i), b = _mm512_loadu_si512(second + i);
    StoreLine<kMode>(to + i, _mm512_permutex2var_epi16(a, low_half, b));
    StoreLine<kMode>(to + i + 16, _mm512_permutex2var_epi16(a, high_half, b));
  }
}

// Whether slots[i …] begin with a whole block of 16, the first one a multiple of 16.
inline bool IsBlock(const int32_t* slots, int i, int num_tokens) {
  return slots[i] % 16 == 0 && i + 16 <= num_tokens && slots[i + 15] == slots[i] + 15;
}

template <StoreMode kMode>
void StoreKeys(const CacheSlice& cache, const Bf16* keys, const int32_t* slots, int num_tokens) {
  const size_t token_stride = static_cast<size_t>(cache.num_kv_heads) * cache.head_dim;
  for (int head = 0; head < cache.num_kv_heads; ++head) {
    const Bf16* key = keys + static_cast<size_t>(head) * cache.head_dim;
    for (int i = 0; i < num_tokens; ++i) {
      if (IsBlock(slots, i, num_tokens)) {
        StoreKeyBlock<kMode>(cache, head, slots[i], key + i * token_stride, token_stride);
        i += 15;
      } else {
        StoreKey(cache, head, slots[i], key + i * token_stride);
      }
    }
  }
}

// Token by token, so that the rows are read in the order in which they lie.
template <StoreMode kMode>
void StoreValues(const CacheSlice& cache, const Bf16* values, const int32_t* slots, int num_tokens) {
  const size_t token_stride = static_cast<size_t>(cache.num_kv_heads) * cache.head_dim;
  for (int i = 0; i < num_tokens; ++i) {
    const bool is_pair = slots[i] % 2 == 0 && i + 1 < num_tokens && slots[i + 1] == slots[i] + 1;
    const Bf16* value = values + i * token_stride;
    for (int head = 0; head < cache.num_kv_heads; ++head, value += cache.head_dim) {
      if (is_pair) {
        StoreValuePair<kMode>(cache, head, slots[i], value, value + token_stride);
      } else {
        StoreValue(cache, head, slots[i], value);
      }
    }
    if (is_pair) ++i;
  }
}

// 16 pairs in a row, as 32 fp32.
inline void WidenPairs(__m512i pairs, float* out) {
  _mm512_storeu_ps(out, Widen(_mm512_castsi512_si256(pairs)));
  _mm512_storeu_ps(out + 16, Widen(_mm512_extracti64x4_epi64(pairs, 1)));
}

inline void LoadKey(const CacheSlice& cache, int kv_head, int slot, float* out) {
  const Pair* from = KeySlot(cache, kv_head, slot);
  const __m512i lines =
      _mm512_slli_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), 4);
  for (int i = 0; i < cache.head_dim / 2; i += 16)
    WidenPairs(_mm512_i32gather_epi32(lines, from + 16 * i, sizeof(Pair)), out + 2 * i);
}

// A whole block of 16 slots, the first one a multiple of 16.
inline void LoadKeyBlock(const CacheSlice& cache, int kv_head, int slot, float* out, size_t token_stride) {
  const Pair* from = KeySlot(cache, kv_head, slot);
  for (int i = 0; i < cache.head_dim / 2; i += 16) {
    __m512i rows[16];
    for (int pair = 0; pair < 16; ++pair) rows[pair] = _mm512_load_si512(from + 16 * (i + pair));
    Transpose16(rows);
    for (int t = 0; t < 16; ++t) WidenPairs(rows[t], out + t * token_stride + 2 * i);
  }
}

inline void LoadValue(const CacheSlice& cache, int kv_head, int slot, float* out) {
  const Bf16* from = ValueSlot(cache, kv_head, slot) - slot % 2;  // its pair
  for (int i = 0; i < cache.head_dim; i += 16) {
    const __m512i pairs = _mm512_load_si512(from + 2 * i);
    _mm512_storeu_ps(out + i, slot % 2 == 0 ? WidenLow(pairs) : WidenHigh(pairs));
  }
}

inline void DequantiseAndRotateHead(const int8_t* head, const float* scales, const float* cosine,
                                    const float* sine, int head_dim, Bf16* out) {
  const int half = head_dim / 2;
  for (int i = 0; i < half; i += 16)
    RotatePairs(_mm512_mul_ps(Widen(head + i), _mm512_loadu_ps(scales + i)),
                _mm512_mul_ps(Widen(head + half + i), _mm512_loadu_ps(scales + half + i)), cosine + i,
                sine + i, out + i, out + half + i);
}

inline void DequantiseHead(const int8_t* head, float scale, int head_dim, Bf16* out) {
  const __m512 scales = _mm512_set1_ps(scale);
  for (int i = 0; i < head_dim; i += 16) Narrow(out + i, _mm512_mul_ps(Widen(head + i), scales));
}

// A block ahead of its use: the core's own prefetching stops at the end of each page, and rows of keys and of
// values lie on different ones.
inline void PrefetchRow(const Bf16* row, size_t num_elements) {
  for (size_t i = 0; i < num_elements; i += 32)
    _mm_prefetch(reinterpret_cast<const char*>(row + i), _MM_HINT_T0);
}

constexpr int kTokenBlock = 16;  // tokens per piece of work

void StorePastCache(const CacheSlice& cache, const Bf16* keys, const Bf16* values, const int32_t* slots,
                    int count) {
  StoreKeys<StoreMode::kPastCache>(cache, keys, slots, count);
  StoreValues<StoreMode::kPastCache>(cache, values, slots, count);
}

// Calls work(begin, end, slots of these tokens, a buffer of the thread's own) for runs of tokens. first_slot
// may start anywhere, so blocks are cut where slots are, and pairs of slots stay inside one.
template <typename Work>
void ForEachBlock(int first_slot, int num_tokens, int num_threads, size_t buffer_elements, const Work& work) {
  const int lead = first_slot % kTokenBlock;
  const int num_blocks = (lead + num_tokens + kTokenBlock - 1) / kTokenBlock;
#pragma omp parallel num_threads(num_threads)
  {
    std::vector<Bf16> buffer(buffer_elements);
    int32_t slots[kTokenBlock];
#pragma omp for schedule(static) nowait
    for (int block = 0; block < num_blocks; ++block) {
      const int begin = std::max(0, block * kTokenBlock - lead);
      const int end = std::min(num_tokens, (block + 1) * kTokenBlock - lead);
      for (int i = begin; i < end; ++i) slots[i - begin] = first_slot + i;
      work(begin, end, slots, buffer.data());
    }
    _mm_sfence();
  }
}

}  // namespace

void StoreRows(const CacheSlice& cache, const Bf16* keys, const Bf16* values, const int32_t* slots,
               int num_tokens) {
  StoreKeys<StoreMode::kThroughCache>(cache, keys, slots, num_tokens);
  StoreValues<StoreMode::kThroughCache>(cache, values, slots, num_tokens);
}

void RotateAndStore(const CacheSlice& cache, const Bf16* keys, const Bf16* values, const float* cosine,
                    const float* sine, int first_slot, int num_tokens, int num_threads) {
  const size_t token_stride = static_cast<size_t>(cache.num_kv_heads) * cache.head_dim;
  ForEachBlock(first_slot, num_tokens, num_threads, kTokenBlock * token_stride,
               [&](int begin, int end, const int32_t* slots, Bf16* rotated) {
                 for (int i = begin; i < end; ++i) {
                   if (i + kTokenBlock < num_tokens) {
                     PrefetchRow(keys + (i + kTokenBlock) * token_stride, token_stride);
                     PrefetchRow(values + (i + kTokenBlock) * token_stride, token_stride);
                   }
                   for (int head = 0; head < cache.num_kv_heads; ++head)
                     RotateHead(
                         keys + i * token_stride + static_cast<size_t>(head) * cache.head_dim,
                         cosine + static_cast<size_t>(i) * cache.head_dim / 2,
                         sine + static_cast<size_t>(i) * cache.head_dim / 2, cache.head_dim,
                         rotated + static_cast<size_t>(i - begin) * token_stride + head * cache.head_dim);
                 }
                 StorePastCache(cache, rotated, values + begin * token_stride, slots, end - begin);
               });
}

void DequantiseRotateAndStore(const CacheSlice& cache, const Int8Rows& rows, const float* cosine,
                              const float* sine, int first_slot, int num_tokens, int num_threads) {
  const size_t token_stride = static_cast<size_t>(cache.num_kv_heads) * cache.head_dim;
  ForEachBlock(first_slot, num_tokens, num_threads, 2 * kTokenBlock * token_stride,
               [&](int begin, int end, const int32_t* slots, Bf16* keys) {
                 Bf16* values = keys + kTokenBlock * token_stride;
                 for (int i = begin; i < end; ++i)
                   for (int head = 0; head < cache.num_kv_heads; ++head) {
                     const size_t channel = static_cast<size_t>(head) * cache.head_dim;
                     const size_t from = i * token_stride + channel;
                     const size_t to = static_cast<size_t>(i - begin) * token_stride + channel;
                     const size_t angle = static_cast<size_t>(i) * cache.head_dim / 2;
                     DequantiseAndRotateHead(rows.keys + from, rows.key_scales + channel, cosine + angle,
                                             sine + angle, cache.head_dim, keys + to);
                     DequantiseHead(rows.values + from, rows.value_scales[i * cache.num_kv_heads + head],
                                    cache.head_dim, values + to);
                   }
                 StorePastCache(cache, keys, values, slots, end - begin);
               });
}

void LoadKeys(const CacheSlice& cache, int kv_head, int begin, int end, float* out) {
  const auto dim = static_cast<size_t>(cache.head_dim);
  for (int slot = begin; slot < end;) {
    const bool is_block = slot % 16 == 0 && slot + 16 <= end;
    float* const to = out + static_cast<size_t>(slot - begin) * dim;
    if (is_block)
      LoadKeyBlock(cache, kv_head, slot, to, dim);
    else
      LoadKey(cache, kv_head, slot, to);
    slot += is_block ? 16 : 1;
  }
}

void LoadValues(const CacheSlice& cache, int kv_head, int begin, int end, float* out) {
  for (int slot = begin; slot < end; ++slot, out += cache.head_dim) LoadValue(cache, kv_head, slot, out);
}

}  // namespace cacheclip::avx512
