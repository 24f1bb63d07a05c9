// Rows of x as a block multiplies them with widened panels (linear_block.h): as they are, or rounded to
// int16. Included by kernel files alone (needs their compile flags).
#pragma once

#include <algorithm>
#include <vector>

#include "common/model/kernels/linear_finish.h"
#include "common/model/kernels/linear_panels.h"
#include "common/model/kernels/linear_rounding.h"

namespace cacheclip::fp32 {
namespace {

// `total` in equal parts of at most `most`: the length of one.
inline int64_t EvenPart(int64_t total, int64_t most) {
  const int64_t parts = (total + most - 1) / most;
  return (total + parts - 1) / parts;
}

// As they are: of fp32, or of bf16 against kBf16Pairs.
template <typename Number>
class PlainRows {
 public:
  static constexpr int kStep = Arithmetic<Number>::kStep;
  static constexpr int64_t kInputBytes = sizeof(Number);  // of a row, as it is multiplied

  static int64_t InputsAtOnce(int64_t inputs) {
    return kStep * EvenPart((inputs + kStep - 1) / kStep, kWidenedSteps);
  }
  static const Number* Widen(WidePanels& panels, int64_t first_input, int64_t inputs) {
    if constexpr (kStep == 1)
      return panels.Widen(first_input, inputs);
    else
      return reinterpret_cast<const Number*>(panels.WidenPairs(first_input / 2, inputs / 2));
  }

  // Whole tiles are read where they lie; idle rows of the last one repeat the last row.
  void Begin(const LinearArguments& a, int64_t first_row, int64_t rows) {
    x_ = static_cast<const Number*>(a.x) + first_row * a.x_stride;
    stride_ = a.x_stride, inputs_ = a.weights.inputs, whole_rows_ = rows / kTileRows * kTileRows;
    last_tile_.clear();
    if (whole_rows_ == rows) return;
    for (int64_t r = whole_rows_; r < whole_rows_ + kTileRows; ++r) {
      const Number* const row = x_ + std::min(r, rows - 1) * stride_;
      last_tile_.insert(last_tile_.end(), row, row + inputs_);
    }
  }

  // products[kTileRows, kTileColumns] += the tile of rows from `row` on times b, `inputs` of them from
  // `first_input` on.
  void AddProducts(int64_t row, int64_t first_input, int64_t inputs, const Number* b, float* products) const {
    const bool whole = row < whole_rows_;
    Multiply<kTileRows, kTileVectors>((whole ? x_ + row * stride_ : last_tile_.data()) + first_input,
                                      static_cast<size_t>(whole ? stride_ : inputs_), kStep, b,
                                      kStep * kTileColumns, inputs / kStep, products, kTileColumns);
  }

  void Scale(const PackedWeights&, int64_t, int64_t, int64_t, float*) const {}

 private:
  const Number* x_ = nullptr;
  int64_t stride_ = 0, inputs_ = 0, whole_rows_ = 0;
  std::vector<Number> last_tile_;  // [kTileRows, inputs_], where the last one is not whole
};

// Against rounded weights, in pairs of inputs; sums are integers until the last.
class PairRows {
 public:
  static constexpr int64_t kInputBytes = 2;

  static int64_t InputsAtOnce(int64_t inputs) { return 2 * EvenPart(Pairs(inputs), kWidenedSteps); }
  static const int16_t* Widen(WidePanels& panels, int64_t first_input, int64_t inputs) {
    return panels.WidenPairs(first_input / 2, Pairs(inputs));
  }

  void Begin(const LinearArguments& a, int64_t first_row, int64_t rows) {
    stride_ = 2 * Pairs(a.weights.inputs);
    const float max_norm = MaxRowNorm(a.weights.element, a.weights.inputs);
    const int64_t padded = Tiles(rows) * kTileRows;
    rounded_.resize(static_cast<size_t>(padded * stride_));
    scales_.resize(static_cast<size_t>(padded));
    for (int64_t r = 0; r < padded; ++r)
      scales_[static_cast<size_t>(r)] =
          RoundRow(WideRow(a, first_row + std::min(r, rows - 1), wide_), a.weights.inputs, max_norm,
                   &rounded_[static_cast<size_t>(r * stride_)]);
  }

  void AddProducts(int64_t row, int64_t first_input, int64_t inputs, const int16_t* b,
                   float* products) const {
    Multiply<kTileRows, kTileVectors>(&rounded_[static_cast<size_t>(row * stride_ + first_input)],
                                      static_cast<size_t>(stride_), 2, b, 2 * kTileColumns, Pairs(inputs),
                                      reinterpret_cast<int32_t*>(products), kTileColumns);
  }

  void Scale(const PackedWeights& packed, int64_t panel, int64_t row, int64_t rows, float* products) const {
    ScaleSums(packed, panel, &scales_[static_cast<size_t>(row)], rows, products, kTileColumns);
  }

 private:
  int64_t stride_ = 0;
  std::vector<int16_t> rounded_;  // [rows, stride_], in whole tiles
  std::vector<float> scales_;     // [rows] of rounded_
  std::vector<float> wide_;       // of one row
};

}  // namespace
}  // namespace cacheclip::fp32
