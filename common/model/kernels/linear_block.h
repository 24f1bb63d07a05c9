// Many rows against packed weights: a block of them that stays in the second-level cache, against a few
// panels at a time, by register tiles. Included by kernel files alone (needs their compile flags).
#pragma once

#include <algorithm>
#include <vector>

#include "common/model/kernels/linear_finish.h"
#include "common/model/kernels/linear_panels.h"

namespace cacheclip::fp32 {
namespace {

// A block of rows against panels, one object per thread.
template <typename Rows>
class Block {
 public:
  void Begin(const LinearArguments& a, int64_t first_row, int64_t num_rows) {
    first_row_ = first_row, num_rows_ = num_rows;
    products_.resize(static_cast<size_t>(Tiles(num_rows) * kTileRows * kTileColumns));
    rows_.Begin(a, first_row, num_rows);
  }

  // Against panels panel … panel + kTilePanels - 1, as far as there are.
  void Run(const LinearArguments& a, int64_t panel) {
    std::ranges::fill(products_, 0.0f);
    panels_.Begin(a.weights, panel);
    const int64_t all = a.weights.inputs, most = Rows::InputsAtOnce(all);
    for (int64_t k = 0; k < all; k += most) {
      const int64_t inputs = std::min(most, all - k);
      MultiplyTiles(a, panel, k, inputs, Rows::Widen(panels_, k, inputs));
    }
  }

 private:
  // `inputs` inputs from `first_input` on, tile by tile. With the last of them a tile is finished, and where
  // it will be written is fetched before.
  template <typename Column>
  void MultiplyTiles(const LinearArguments& a, int64_t panel, int64_t first_input, int64_t inputs,
                     const Column* columns) {
    const bool last = first_input + inputs >= a.weights.inputs;
    Ahead ahead(a.weights, panel, first_input + inputs, inputs, num_rows_);
    for (int64_t row = 0; row < num_rows_; row += kTileRows) {
      float* const products = &products_[static_cast<size_t>(row * kTileColumns)];
      const int64_t rows = std::min<int64_t>(kTileRows, num_rows_ - row);
      ahead.Fetch();
      if (last) Finisher(a, panel, first_row_ + row).Fetch(rows, panels_.count());
      rows_.AddProducts(row, first_input, inputs, columns, products);
      if (last) Finish(a, panel, row, rows, products);
    }
  }

  void Finish(const LinearArguments& a, int64_t panel, int64_t row, int64_t rows, float* products) {
    for (int64_t i = 0; i < panels_.count(); ++i, products += kPanelOutputs) {
      rows_.Scale(a.weights, panel + i, row, rows, products);
      Finisher(a, panel + i, first_row_ + row).Write(rows, products, kTileColumns);
    }
  }

  int64_t first_row_ = 0, num_rows_ = 0;
  Rows rows_;
  WidePanels panels_;
  std::vector<float> products_;  // [num_rows_, kTileColumns], in whole tiles
};

}  // namespace
}  // namespace cacheclip::fp32
