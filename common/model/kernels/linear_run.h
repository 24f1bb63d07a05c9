// Products with packed weights: how their work is shared out. Included by linear_avx*.cc alone.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "common/model/kernels/linear_block.h"
#include "common/model/kernels/linear_few.h"
#include "common/model/kernels/linear_rows.h"
#if defined(__AVX512VNNI__)
#include "common/model/kernels/linear_byte_rows.h"
#endif

namespace cacheclip::fp32 {
namespace {

// Rows of x that share widened panels, and their bytes: they stay in the second-level cache, which is larger
// where there is AVX-512.
constexpr int64_t kMaxBlockRows = kLanes == 8 ? 96 : 384;
constexpr int64_t kBlockBytes = (kLanes == 8 ? 320 : 640) << 10;
// Fewer only where rows end or kBlockBytes are reached.
constexpr int64_t kMinBlockRows = kLanes == 8 ? 48 : 96;

// Where blocks begin, in whole tiles: as large as caches allow at first, smaller towards the end, so that
// threads of unlike speed end together. The last entry is the number of tiles. Of the calling thread, until
// its next call.
inline const std::vector<int64_t>& BlockBegins(const LinearArguments& a, int64_t input_bytes) {
  static thread_local std::vector<int64_t> begins;
  const int64_t tiles = Tiles(a.rows);
  const int64_t most_rows =
      std::clamp<int64_t>(kBlockBytes / (input_bytes * a.weights.inputs), 4 * kTileRows, kMaxBlockRows);
  const int64_t most = most_rows / kTileRows, least = std::min(most, kMinBlockRows / kTileRows);
  begins.assign(1, 0);
  const auto take = [&](int64_t left) { return std::clamp(left / a.num_threads, least, most); };
  if (tiles > most)
    for (int64_t tile = take(tiles); tile < tiles; tile += take(tiles - tile)) begins.push_back(tile);
  begins.push_back(tiles);
  return begins;
}

template <typename Rows>
void RunBlocks(const LinearArguments& a) {
  const std::vector<int64_t>& begins = BlockBegins(a, Rows::kInputBytes);
  const int64_t blocks = static_cast<int64_t>(begins.size()) - 1;
  const int64_t parts = blocks < a.num_threads ? a.num_threads : 1;  // of the panels
  const int64_t groups = (a.weights.num_panels + kTilePanels - 1) / kTilePanels;
#pragma omp parallel num_threads(a.num_threads)
  {
    // On the heap: a thread_local of this size would be taken from the stack of every thread of the process.
    static thread_local const auto block = std::make_unique<Block<Rows>>();
#pragma omp for schedule(dynamic, 1)
    for (int64_t task = 0; task < blocks * parts; ++task) {
      const size_t index = static_cast<size_t>(task / parts);
      const int64_t first_row = begins[index] * kTileRows, part = task % parts;
      block->Begin(a, first_row, std::min(begins[index + 1] * kTileRows, a.rows) - first_row);
      for (int64_t group = part * groups / parts; group < (part + 1) * groups / parts; ++group)
        block->Run(a, group * kTilePanels);
    }
  }
}

template <Element kElement, typename Rows>
void RunAs(const LinearArguments& a) {
  // Panels of bf16 are multiplied as they lie: streamed past four rows at a time they are faster for longer.
  constexpr int64_t kMost = kElement == Element::kBf16Pairs ? 4 * kFewRows : kFewRows;
  a.rows <= kMost ? RunFewRows<kElement>(a) : RunBlocks<Rows>(a);
}

#if defined(__AVX512VNNI__)
using RowsOfInt8 = ByteRows;
#else
using RowsOfInt8 = PairRows;
#endif

// All but kBf16Pairs.
inline void RunLinear(const LinearArguments& a) {
  switch (a.weights.element) {
    case Element::kFp32:
      return RunAs<Element::kFp32, PlainRows<float>>(a);
    case Element::kBf16:
      return RunAs<Element::kBf16, PlainRows<float>>(a);
    case Element::kInt16:
      return RunAs<Element::kInt16, PairRows>(a);
    case Element::kInt8:
      return RunAs<Element::kInt8, RowsOfInt8>(a);
    case Element::kBf16Pairs:
      return;
  }
}

}  // namespace
}  // namespace cacheclip::fp32
