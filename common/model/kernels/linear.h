// y = x · Wᵀ for CPUs with AVX2 or AVX-512, the weights packed once (packed_weights.h). kBf16 is widened to
// fp32 as a panel is used, so its results are those of fp32 weights of the same values; kBf16Pairs are
// multiplied by bf16 rows, with sums in fp32. With rounded weights x is rounded too, row by row, to int16,
// and the products are summed exactly; many rows with int8 weights and AVX-512, kByteGroup inputs at a time,
// to int8. Many rows go through a register tile; a few (decode; with kBf16Pairs a question too) have each
// panel streamed past them. Functions only; threads come from OpenMP.
#pragma once

#include <cstdint>

#include "common/model/kernels/packed_weights.h"

namespace cacheclip::fp32 {

inline constexpr int64_t kFewRows = 4;     // that a panel is streamed past at once
inline constexpr int64_t kByteGroup = 64;  // inputs of a row that share a scale where it is rounded to int8

enum class Epilogue {
  kStore,   // out = y + bias
  kAdd,     // out += y + bias
  kSwiGlu,  // out = silu(y of lanes 0–7) · (y of lanes 8–15) of each panel: 8 columns a panel
};

struct LinearArguments {
  PackedWeights weights;
  const void* x;  // [rows, inputs]
  int64_t x_stride, rows;
  const float* bias;  // null, or [outputs]; null with kSwiGlu
  void* out;          // [rows, outputs]
  int64_t out_stride, outputs;
  Epilogue epilogue;
  int num_threads;
  // What x and out hold: kFp32 or kBf16. x: kBf16 with kBf16Pairs, whose inputs are even then; kFp32 with
  // kFp32 and kBf16; either with rounded weights.
  Element x_element = Element::kFp32, out_element = Element::kFp32;
};
// The caller checks that the machine has the instruction set named; for Linear(), that kAvx2 is active, or
// kAvx512Bf16 for kBf16Pairs.
void LinearAvx2(const LinearArguments& arguments);
void LinearAvx512(const LinearArguments& arguments);      // all but kBf16Pairs, as LinearAvx2()
void LinearAvx512Bf16(const LinearArguments& arguments);  // kBf16Pairs
void Linear(const LinearArguments& arguments);            // by the widest vectors of ActiveIsa()

}  // namespace cacheclip::fp32
