// Weights as kernels/linear.h reads them: panels of 16 outputs, in fp32 or bf16, or rounded to int16 or int8
// with a scale for each output. Functions only; threads come from OpenMP.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cacheclip::fp32 {

enum class Element {
  kFp32,
  kBf16,       // widened to fp32 as they are used
  kBf16Pairs,  // for products of bf16
  kInt16,
  kInt8,
};

inline constexpr bool IsPaired(Element element) { return element >= Element::kBf16Pairs; }
inline constexpr bool IsRounded(Element element) { return element >= Element::kInt16; }

inline constexpr int kPanelOutputs = 16;

struct PackedWeights {
  Element element;
  int64_t num_panels, inputs;
  // kFp32, kBf16: [num_panels, inputs, 16]; paired: [num_panels, ceil(inputs / 2), 16, 2]. Aligned to 64
  // bytes.
  void* panels;
  float* scales;  // rounded only: [num_panels, 16]
};
int64_t ElementBytes(Element element);
size_t PanelBytes(Element element, int64_t inputs);
std::byte* Panel(const PackedWeights& packed, int64_t panel);  // where it begins
inline int64_t Pairs(int64_t inputs) { return (inputs + 1) / 2; }
inline constexpr int kMaxWeight = 127;  // of int8

// Products of rounded rows and rounded weights are summed in 32 bits, which no sum exceeds, nor any part of
// one, while the product of their Euclidean norms does not (Cauchy and Schwarz): a row of x may have the norm
// MaxRowNorm(), a row of int16 weights MaxWeightNorm(), before they are rounded.
float MaxWeightNorm(int64_t inputs);
float MaxRowNorm(Element element, int64_t inputs);

// A matrix [outputs, inputs] to be packed: kFp32 or kBf16, contiguous.
struct WeightSource {
  Element element;
  const void* values;
  int64_t outputs;
};

// Fills lanes first_lane … first_lane + num_lanes - 1 of every panel with successive rows of `source`, zeros
// behind the last, and their scales.
void Pack(const WeightSource& source, int first_lane, int num_lanes, const PackedWeights& packed,
          int num_threads);

// out[0..inputs): the weights of one lane, as products see them.
void Unpack(const PackedWeights& packed, int64_t lane, float* out);

}  // namespace cacheclip::fp32
