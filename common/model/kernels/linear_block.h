// Many rows against packed weights: a block of them that stays in the second-level cache, against a few
// panels at a time, by register tiles. Included by kernel files alone (needs their compile flags).
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/model/kernels/linear_finish.h"
#include "common/model/kernels/linear_panels.h"

namespace cacheclip::fp32 {
namespace {

// `total` in equal parts of at most `most`: the length of one.
inline int64_t EvenPart(int64_t total, int64_t most) {
  const int64_t parts = (total + most - 1) / most;
  return (total + parts - 1) / parts;
}

// A block of rows against panels, one object per thread.
class Block {
 public:
  void Begin(const LinearArguments& a, int64_t first_row, int64_t rows) {
    first_row_ = first_row, rows_ = rows;
    products_.resize(static_cast<size_t>(Tiles(rows) * kTileRows * kTileColumns));
    if (IsRounded(a.weights.element))
      RoundRows(a);
    else if (rows % kTileRows != 0)
      FillLastTile(a);
  }

  // Against panels panel … panel + kTilePanels - 1, as far as there are.
  void Run(const LinearArguments& a, int64_t panel) {
    std::ranges::fill(products_, 0.0f);
    panels_.Begin(a.weights, panel);
    if (IsRounded(a.weights.element))
      MultiplyRounded(a, panel);
    else
      MultiplyRows(a, panel);
  }

 private:
  // Idle rows of the last tile repeat the last row.
  const float* Row(const LinearArguments& a, int64_t row) const {
    return a.x + (first_row_ + std::min(row, rows_ - 1)) * a.x_stride;
  }

  void RoundRows(const LinearArguments& a) {
    stride_ = 2 * Pairs(a.weights.inputs);
    const float max_norm = MaxRowNorm(a.weights.element, a.weights.inputs);
    const int64_t rows = Tiles(rows_) * kTileRows;
    rounded_.resize(static_cast<size_t>(rows * stride_));
    scales_.resize(static_cast<size_t>(rows));
    for (int64_t r = 0; r < rows; ++r)
      scales_[static_cast<size_t>(r)] =
          RoundRow(Row(a, r), a.weights.inputs, max_norm, &rounded_[static_cast<size_t>(r * stride_)]);
  }

  // Whole tiles are read where they lie.
  void FillLastTile(const LinearArguments& a) {
    last_tile_.clear();
    for (int64_t r = 0; r < kTileRows; ++r) {
      const float* const row = Row(a, rows_ / kTileRows * kTileRows + r);
      last_tile_.insert(last_tile_.end(), row, row + a.weights.inputs);
    }
  }

  void MultiplyRows(const LinearArguments& a, int64_t panel) {
    const PackedWeights& packed = a.weights;
    const int64_t block = EvenPart(packed.inputs, kInputBlock);
    for (int64_t k = 0; k < packed.inputs; k += block) {
      const int64_t inputs = std::min(block, packed.inputs - k);
      const float* const b = panels_.Widen(k, inputs);
      ForEachTile(a, panel, k, inputs, [&](int64_t row, float* products) {
        const bool whole = row + kTileRows <= rows_;
        Multiply<kTileRows, kTileVectors>(whole ? Row(a, row) + k : &last_tile_[static_cast<size_t>(k)],
                                          whole ? a.x_stride : packed.inputs, 1, b, kTileColumns, inputs,
                                          products, kTileColumns);
      });
    }
  }

  void MultiplyRounded(const LinearArguments& a, int64_t panel) {
    const int64_t all_pairs = Pairs(a.weights.inputs), block = EvenPart(all_pairs, kInputBlock);
    for (int64_t p = 0; p < all_pairs; p += block) {
      const int64_t pairs = std::min(block, all_pairs - p);
      const int16_t* const b = panels_.WidenPairs(p, pairs);
      ForEachTile(a, panel, 2 * p, 2 * pairs, [&](int64_t row, float* products) {
        Multiply<kTileRows, kTileVectors>(&rounded_[static_cast<size_t>(row * stride_ + 2 * p)],
                                          static_cast<size_t>(stride_), 2, b, 2 * kTileColumns, pairs,
                                          reinterpret_cast<int32_t*>(products), kTileColumns);
      });
    }
  }

  // multiply(row, products) for each tile of rows against `inputs` inputs from `first_input` on; with the
  // last of them the tile is finished, and where it will be written is fetched before.
  template <typename MultiplyTile>
  void ForEachTile(const LinearArguments& a, int64_t panel, int64_t first_input, int64_t inputs,
                   const MultiplyTile& multiply) {
    const bool last = first_input + inputs >= a.weights.inputs;
    Ahead ahead(a.weights, panel, first_input + inputs, inputs, rows_);
    for (int64_t row = 0; row < rows_; row += kTileRows) {
      float* const products = &products_[static_cast<size_t>(row * kTileColumns)];
      const int64_t rows = std::min<int64_t>(kTileRows, rows_ - row);
      ahead.Fetch();
      if (last) Finisher(a, panel, first_row_ + row).Fetch(rows, panels_.count());
      multiply(row, products);
      if (last) Finish(a, panel, row, rows, products);
    }
  }

  void Finish(const LinearArguments& a, int64_t panel, int64_t row, int64_t rows, float* products) {
    for (int64_t i = 0; i < panels_.count(); ++i, products += kPanelOutputs) {
      if (IsRounded(a.weights.element))
        Scale(a.weights, panel + i, &scales_[static_cast<size_t>(row)], rows, products, kTileColumns);
      Finisher(a, panel + i, first_row_ + row).Write(rows, products, kTileColumns);
    }
  }

  int64_t first_row_ = 0, rows_ = 0, stride_ = 0;
  WidePanels panels_;
  std::vector<float> last_tile_;  // [kTileRows, inputs], where the last one is not whole
  std::vector<int16_t> rounded_;  // [rows, stride_], in whole tiles as all that follows
  std::vector<float> scales_;     // [rows] of rounded_
  std::vector<float> products_;   // [rows, kTileColumns]
};

}  // namespace
}  // namespace cacheclip::fp32
