// A few panels of packed weights at a time, widened into the first-level cache for a block of rows. Included
// by kernel files alone (needs their compile flags).
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/model/kernels/packed_weights.h"
#include "common/model/kernels/register_tile_fp32.h"

namespace cacheclip::fp32 {
namespace {

constexpr int64_t kTilePanels = kTileColumns / kPanelOutputs;
constexpr int64_t kWidenedSteps = kTilePanels == 1 ? 320 : 160;  // of inputs, pairs or fours of them, at once

constexpr uint8_t kByteOffset = 128;  // makes a byte without a sign of one with it

static_assert(kTileColumns % kPanelOutputs == 0);

inline int64_t Tiles(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

constexpr int64_t kCacheLine = 64;

// Weights that are widened next, fetched in equal shares beside the tiles of `rows` rows, so that widening
// does not wait for memory. Behind the last panel this names memory that is not there, which does no harm.
class Ahead {
 public:
  Ahead(const PackedWeights& packed, int64_t panel, int64_t first_input, int64_t inputs, int64_t rows) {
    const int64_t input_bytes = ElementBytes(packed.element) * kPanelOutputs;
    const int64_t tiles = Tiles(rows), lines = inputs * input_bytes / kCacheLine;
    next_ = reinterpret_cast<const char*>(Panel(packed, panel)) + first_input * input_bytes;
    panel_bytes_ = static_cast<int64_t>(PanelBytes(packed.element, packed.inputs));
    share_ = (lines + tiles - 1) / tiles;
  }

  void Fetch() {
    for (int64_t line = 0; line < share_; ++line, next_ += kCacheLine)
      for (int64_t panel = 0; panel < kTilePanels; ++panel)
        _mm_prefetch(next_ + panel * panel_bytes_, _MM_HINT_T1);
  }

 private:
  const char* next_;
  int64_t panel_bytes_, share_;
};

// Panels first_panel … first_panel + kTilePanels - 1, as far as there are. Columns behind the last one keep
// what they had: nobody reads their products.
class WidePanels {
 public:
  void Begin(const PackedWeights& packed, int64_t first_panel) {
    packed_ = &packed, first_ = first_panel, count_ = std::min(kTilePanels, packed.num_panels - first_panel);
  }
  int64_t count() const { return count_; }

  // [inputs, kTileColumns]; fp32 weights as they lie where a tile has one panel.
  const float* Widen(int64_t first_input, int64_t inputs) {
    const int64_t first = first_input * kPanelOutputs;
    for (int64_t i = 0; i < count_; ++i) {
      const std::byte* const from = Panel(*packed_, first_ + i);
      if (packed_->element == Element::kFp32) {
        const float* const values = reinterpret_cast<const float*>(from) + first;
        if (kTilePanels == 1) return values;
        WidenOne(i, inputs, [&](int64_t at) { return Load(values + at); });
      } else {
        const uint16_t* const values = reinterpret_cast<const uint16_t*>(from) + first;
        WidenOne(i, inputs, [&](int64_t at) { return WidenBf16(values + at); });
      }
    }
    return widened_;
  }

  // The same of paired weights: [pairs, kTileColumns, 2].
  const int16_t* WidenPairs(int64_t first_pair, int64_t pairs) {
    const int64_t first = first_pair * 2 * kPanelOutputs;
    int16_t* const widened = reinterpret_cast<int16_t*>(widened_);
    for (int64_t i = 0; i < count_; ++i) {
      const std::byte* const from = Panel(*packed_, first_ + i);
      if (packed_->element != Element::kInt8) {
        const int16_t* const values = reinterpret_cast<const int16_t*>(from) + first;
        if (kTilePanels == 1) return values;
        WidenPairsOfOne(widened, i, pairs, [&](int64_t at) { return LoadInts(values + at); });
      } else {
        WidenPairsOfOne(widened, i, pairs, [&](int64_t at) { return WidenInt8(from + first + at); });
      }
    }
    return widened;
  }

#if defined(__AVX512VNNI__)
  // int8 weights, each kByteOffset more than it is: [ceil(pairs / 2), kTileColumns, 4].
  const uint8_t* JoinPairs(int64_t first_pair, int64_t pairs) {
    constexpr int64_t kPairBytes = 2 * kPanelOutputs;
    static constexpr int8_t kNone[kPairBytes] = {};
    uint8_t* const joined = reinterpret_cast<uint8_t*>(widened_);
    for (int64_t i = 0; i < count_; ++i) {
      const std::byte* const from = Panel(*packed_, first_ + i) + first_pair * kPairBytes;
      uint8_t* to = joined + 4 * i * kPanelOutputs;
      for (int64_t p = 0; p < pairs; p += 2, to += 4 * kTileColumns) {
        const void* const second =
            p + 1 < pairs ? static_cast<const void*>(from + (p + 1) * kPairBytes) : kNone;
        StoreInts(to,
                  ExclusiveOr(fp32::JoinPairs(from + p * kPairBytes, second), BroadcastByte(kByteOffset)));
      }
    }
    return joined;
  }
#endif

 private:
  template <typename LoadAt>
  void WidenOne(int64_t index, int64_t inputs, LoadAt load_at) {
    for (int64_t k = 0; k < inputs; ++k)
      for (int v = 0; v < kPanelOutputs; v += kLanes)
        Store(widened_ + k * kTileColumns + index * kPanelOutputs + v, load_at(k * kPanelOutputs + v));
  }

  template <typename LoadAt>
  static void WidenPairsOfOne(int16_t* widened, int64_t index, int64_t pairs, LoadAt load_at) {
    for (int64_t p = 0; p < pairs; ++p)
      for (int v = 0; v < 2 * kPanelOutputs; v += 2 * kLanes)
        StoreInts(widened + 2 * (p * kTileColumns + index * kPanelOutputs) + v,
                  load_at(p * 2 * kPanelOutputs + v));
  }

  const PackedWeights* packed_ = nullptr;
  int64_t first_ = 0, count_ = 0;
  alignas(64) float widened_[kWidenedSteps * kTileColumns];
};

}  // namespace
}  // namespace cacheclip::fp32
