#include "common/model/kernels/attention_avx512.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "common/model/kernels/attention_block_avx512.h"
#include "common/model/kernels/attention_few_avx512.h"

namespace cacheclip::avx512 {
namespace {

// Up to so many lanes the work must follow their number, not the width of a register.
constexpr int kFewLanes = 16;

// One unit of work: lanes [lane0, lane0 + lanes) of one kv head against keys [k0, k1), of which `keys` count;
// key range `part` of `parts`.
struct Item {
  int kv_head, lane0, lanes, k0, k1, keys, part, parts, slot;
};

template <class B, int D>
void run(const AttentionArguments& a) {
  const int g = a.num_heads / a.num_kv_heads, lanes = a.num_rows * g;

  // One item per block of lanes; where that is too coarse for the threads, blocks are also cut in key ranges.
  auto end_of = [&](int l) { return a.limits[(std::min(lanes, l + B::L) - 1) / g] + 1; };
  auto keys_of = [&](int h, int l) {
    if (lanes <= kFewLanes || !IsLocal(a.local, h)) return end_of(l);
    const int from = *std::min_element(a.local.first_slots + l / g,
                                       a.local.first_slots + (std::min(lanes, l + B::L) - 1) / g + 1);
    return end_of(l) - std::max(0, from - kLocalBlock);
  };
  int64_t total = 0;
  for (int h = 0; h < a.num_kv_heads; ++h)
    for (int l = 0; l < lanes; l += B::L) total += keys_of(h, l);
  const int share =
      (int)std::min<int64_t>(1 << 30, a.num_threads == 1 ? total : total / (a.num_threads * 8) + 1);
  std::vector<Item> items;
  int slots = 0;
  for (int h = 0; h < a.num_kv_heads; ++h)
    for (int l = 0; l < lanes; l += B::L) {
      const int end = end_of(l), keys = keys_of(h, l);
      const int want = keys < end ? 1 : std::min((keys + share - 1) / share, std::max(1, keys / 512));
      const int step = ((end + want - 1) / want + kKeyTile - 1) / kKeyTile * kKeyTile,
                parts = (end + step - 1) / step;
      for (int p = 0; p < parts; ++p)
        items.push_back({h, l, std::min(B::L, lanes - l), p * step, std::min(end, (p + 1) * step),
                         parts > 1 ? step : keys, p, parts, parts > 1 ? slots++ : -1});
    }
  std::vector<int> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = (int)i;
  std::stable_sort(order.begin(), order.end(), [&](int x, int y) { return items[x].keys > items[y].keys; });

  std::unique_ptr<B[]> partial(slots ? new B[slots] : nullptr);
  static thread_local ByteKeys byte_keys_of_caller;
  ByteKeys& byte_keys = byte_keys_of_caller;
  if (B::kRoundsKeys) byte_keys.Resize(a);
#pragma omp parallel num_threads(a.num_threads)
  {
    static thread_local auto own = std::make_unique<B>();
    if constexpr (B::kRoundsKeys) {
#pragma omp for collapse(2) schedule(static)
      for (int h = 0; h < a.num_kv_heads; ++h)
        for (int slot = 0; slot <= a.limits[a.num_rows - 1]; slot += 16) byte_keys.Round(a, h, slot);
    }
#pragma omp for schedule(dynamic, 1)  // largest items first
    for (size_t n = 0; n < order.size(); ++n) {
      const Item& it = items[order[n]];
      const auto* V = (const pair_t*)(a.values + (size_t)it.kv_head * a.capacity * D);
      B& b = it.slot < 0 ? *own : partial[it.slot];
      b.init(a, byte_keys, it.kv_head, it.lane0, it.lanes);
      for (int k = it.k0; k < it.k1; k = b.seen_from(k + kKeyTile))
        b.tile(V, k, std::min(k + kKeyTile, it.k1), k == it.k0);
      if (it.slot < 0) b.finish(a, it.kv_head);
    }
    if (slots)
#pragma omp for schedule(dynamic, 1)
      for (size_t n = 0; n < items.size(); ++n) {
        const Item& it = items[n];
        if (it.slot < 0 || it.part) continue;
        for (int p = 1; p < it.parts; ++p) partial[it.slot].merge(partial[it.slot + p]);
        partial[it.slot].finish(a, it.kv_head);
      }
  }
}

template <int D>
void RunBlocks(const AttentionArguments& a) {
  a.int8_scores ? run<Block<D, 3, ByteScores<D, 3>>, D>(a) : run<Block<D, 3>, D>(a);
}

}  // namespace

void Attention(const AttentionArguments& a) {
  const bool few = a.num_rows * (a.num_heads / a.num_kv_heads) <= kFewLanes;
  if (a.head_dim == 64)
    few ? run<Few<64>, 64>(a) : RunBlocks<64>(a);
  else if (a.head_dim == 128)
    few ? run<Few<128>, 128>(a) : RunBlocks<128>(a);
}

}  // namespace cacheclip::avx512
