// What becomes of a panel's products, whichever way they were multiplied. Included by kernel files alone
// (needs their compile flags).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "common/model/kernels/bf16.h"
#include "common/model/kernels/linear.h"
#include "common/model/kernels/simd.h"

namespace cacheclip::fp32 {
namespace {

constexpr int kPanelVectors = kPanelOutputs / kLanes;

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
    const int64_t bytes = ElementBytes(a_.out_element);
    for (int64_t r = 0; r < rows; ++r) {
      const char* const out =
          static_cast<const char*>(a_.out) + ((first_row_ + r) * a_.out_stride + column_) * bytes;
      for (int64_t c = 0; c < panels * width_ * bytes; c += 64) __builtin_prefetch(out + c, /*write*/ 1);
    }
  }

  void Write(int64_t rows, const float* products, int64_t stride) const {
    IsWide() ? WriteAs<float>(rows, products, stride) : WriteAs<uint16_t>(rows, products, stride);
  }

 private:
  bool IsGated() const { return a_.epilogue == Epilogue::kSwiGlu; }
  bool IsWide() const { return a_.out_element == Element::kFp32; }
  template <typename Number>
  Number* Out(int64_t row) const {
    return static_cast<Number*>(a_.out) + (first_row_ + row) * a_.out_stride + column_;
  }

  static Vec Read(const float* x) { return Load(x); }
  static Vec Read(const uint16_t* x) { return WidenBf16(x); }
  static void Put(float* out, Vec x) { Store(out, x); }
  static void Put(uint16_t* out, Vec x) { StoreBf16(out, x); }
  static float ReadOne(float x) { return x; }
  static float ReadOne(uint16_t x) { return FromBf16(x); }
  static void PutOne(float& out, float x) { out = x; }
  static void PutOne(uint16_t& out, float x) { out = RoundToBf16(x); }

  template <typename Number>
  void WriteAs(int64_t rows, const float* products, int64_t stride) const {
    if (columns_ < width_)
      for (int64_t r = 0; r < rows; ++r) WriteByElement<Number>(r, products + r * stride);
    else if (IsGated())
      WriteGated<Number>(rows, products, stride);
    else
      WritePlain<Number>(rows, products, stride);
  }

  template <typename Number>
  void WritePlain(int64_t rows, const float* products, int64_t stride) const {
    for (int64_t r = 0; r < rows; ++r, products += stride)
      for (int v = 0; v < kPanelOutputs; v += kLanes) {
        Number* const out = Out<Number>(r) + v;
        Vec y = Load(products + v);
        if (a_.bias != nullptr) y = Add(y, Load(a_.bias + column_ + v));
        Put(out, a_.epilogue == Epilogue::kAdd ? Add(Read(out), y) : y);
      }
  }

  // 8 gates and 8 factors a row: as many rows at once as fill a vector.
  template <typename Number>
  void WriteGated(int64_t rows, const float* products, int64_t stride) const {
    for (int64_t r = 0; r < rows; r += kLanes / 8) {
      const int64_t last = std::min(r + kLanes / 8, rows) - 1;
      const float *first_row = products + r * stride, *last_row = products + last * stride;
      const Vec gate = LoadEights(first_row, last_row), factor = LoadEights(first_row + 8, last_row + 8);
      StoreEights(Out<Number>(r), Out<Number>(last), Product(Silu(gate), factor));
    }
  }

  // Rows that end inside of the panel.
  template <typename Number>
  void WriteByElement(int64_t row, const float* products) const {
    float values[kPanelOutputs];
    std::copy_n(products, kPanelOutputs, values);
    if (IsGated()) {
      const Vec gate = LoadEights(products, products);
      StoreEights(values, values, Product(Silu(gate), LoadEights(products + 8, products + 8)));
    }
    Number* const out = Out<Number>(row);
    for (int64_t c = 0; c < columns_; ++c) {
      const float y = values[c] + (a_.bias != nullptr ? a_.bias[column_ + c] : 0.0f);
      PutOne(out[c], a_.epilogue == Epilogue::kAdd ? ReadOne(out[c]) + y : y);
    }
  }

  const LinearArguments& a_;
  const int64_t width_, column_, columns_, first_row_;
};

}  // namespace
}  // namespace cacheclip::fp32
