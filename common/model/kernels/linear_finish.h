// What both ways of multiplying with packed weights share: rounded rows, and what becomes of a panel's
// products. Included by kernel files alone (needs their compile flags).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/model/kernels/linear.h"
#include "common/model/kernels/rounding.h"

namespace cacheclip::fp32 {
namespace {

constexpr int kPanelVectors = kPanelOutputs / kLanes;

struct RoundedRows {
  std::vector<int16_t> values;  // [rows, stride]
  float scales[kFewRows];
  int64_t stride = 0;
};

// Of the calling thread, until its next call: decode allocates nothing.
inline const RoundedRows& Round(const LinearArguments& a) {
  static thread_local RoundedRows rounded;
  rounded.stride = 2 * Pairs(a.weights.inputs);
  rounded.values.resize(static_cast<size_t>(a.rows * rounded.stride));
  const float max_norm = MaxRowNorm(a.weights.element, a.weights.inputs);
  for (int64_t row = 0; row < a.rows; ++row)
    rounded.scales[row] = RoundRow(a.x + row * a.x_stride, a.weights.inputs, max_norm,
                                   &rounded.values[static_cast<size_t>(row * rounded.stride)]);
  return rounded;
}

// Integer sums of one panel, rows of 16 that are `stride` apart, become products.
inline void ScaleSums(const PackedWeights& packed, int64_t panel, const float* row_scales, int64_t rows,
                      float* products, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, products += stride)
    for (int v = 0; v < kPanelOutputs; v += kLanes) {
      const Vec scales = Load(packed.scales + panel * kPanelOutputs + v);
      Store(products + v,
            Product(ToFloat(LoadInts(products + v)), Product(Broadcast(row_scales[r]), scales)));
    }
}

// Writes what `rows` rows have of one panel, products[r · stride + 0..16).
class Finisher {
 public:
  Finisher(const LinearArguments& arguments, int64_t panel, int64_t first_row)
      : a_(arguments),
        width_(IsGated() ? kPanelOutputs / 2 : kPanelOutputs),
        column_(panel * width_),
        columns_(std::min(width_, a_.outputs - column_)),
        first_row_(first_row) {}

  // Brings what Write() of `panels` neighbouring panels will write into the cache.
  void Fetch(int64_t rows, int64_t panels) const {
    constexpr int64_t kLine = 64 / sizeof(float);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < panels * width_; c += kLine) __builtin_prefetch(Out(r) + c, /*write*/ 1);
  }

  void Write(int64_t rows, const float* products, int64_t stride) const {
    if (columns_ < width_)
      for (int64_t r = 0; r < rows; ++r) WriteByElement(r, products + r * stride);
    else if (IsGated())
      WriteGated(rows, products, stride);
    else
      WritePlain(rows, products, stride);
  }

 private:
  bool IsGated() const { return a_.epilogue == Epilogue::kSwiGlu; }
  float* Out(int64_t row) const { return a_.out + (first_row_ + row) * a_.out_stride + column_; }

  void WritePlain(int64_t rows, const float* products, int64_t stride) const {
    for (int64_t r = 0; r < rows; ++r, products += stride)
      for (int v = 0; v < kPanelOutputs; v += kLanes) {
        float* const out = Out(r) + v;
        Vec y = Load(products + v);
        if (a_.bias != nullptr) y = Add(y, Load(a_.bias + column_ + v));
        Store(out, a_.epilogue == Epilogue::kAdd ? Add(Load(out), y) : y);
      }
  }

  // 8 gates and 8 factors a row: as many rows at once as fill a vector.
  void WriteGated(int64_t rows, const float* products, int64_t stride) const {
    for (int64_t r = 0; r < rows; r += kLanes / 8) {
      const int64_t last = std::min(r + kLanes / 8, rows) - 1;
      const float *first_row = products + r * stride, *last_row = products + last * stride;
      const Vec gate = LoadEights(first_row, last_row), factor = LoadEights(first_row + 8, last_row + 8);
      StoreEights(Out(r), Out(last), Product(Silu(gate), factor));
    }
  }

  // Rows that end inside of the panel.
  void WriteByElement(int64_t row, const float* products) const {
    float values[kPanelOutputs];
    std::copy_n(products, kPanelOutputs, values);
    if (IsGated()) {
      const Vec gate = LoadEights(products, products);
      StoreEights(values, values, Product(Silu(gate), LoadEights(products + 8, products + 8)));
    }
    float* const out = Out(row);
    for (int64_t c = 0; c < columns_; ++c) {
      const float y = values[c] + (a_.bias != nullptr ? a_.bias[column_ + c] : 0.0f);
      out[c] = a_.epilogue == Epilogue::kAdd ? out[c] + y : y;
    }
  }

  const LinearArguments& a_;
  const int64_t width_, column_, columns_, first_row_;
};

}  // namespace
}  // namespace cacheclip::fp32
