// What the lanes of a register tile multiply and sum, by the type of an element. Included by kernel files
// alone (needs their compile flags).
#pragma once

#include <cstdint>

#include "common/model/kernels/simd.h"

namespace cacheclip::fp32 {
namespace {

struct FloatSums {
  using Sum = Vec;
  using Stored = float;

  static Vec LoadSum(const float* x) { return Load(x); }
  static void Store(float* out, Vec x) { fp32::Store(out, x); }
  static Vec Add(Vec a, Vec b) { return fp32::Add(a, b); }
};

struct IntSums {
  using Sum = IntVec;
  using Stored = int32_t;

  static IntVec LoadSum(const void* x) { return LoadInts(x); }
  static void Store(void* out, IntVec x) { StoreInts(out, x); }
  static IntVec Add(IntVec a, IntVec b) { return AddInts(a, b); }
};

template <typename Element>
struct Arithmetic;

// What a register tile multiplies: fp32, a step of a sum at a time, …
template <>
struct Arithmetic<float> : FloatSums {
  static constexpr int kStep = 1;  // elements of a lane

  static Vec Broadcast(const float* x) { return fp32::Broadcast(*x); }
  static Vec Load(const float* x) { return fp32::Load(x); }
  static Vec MultiplyAdd(Vec a, Vec b, Vec sum) { return fp32::MultiplyAdd(a, b, sum); }
};

// … or int16, two steps at a time, which are neighbours in a and in b, …
template <>
struct Arithmetic<int16_t> : IntSums {
  static constexpr int kStep = 2;

  static IntVec Broadcast(const int16_t* x) { return BroadcastPair(x); }
  static IntVec Load(const void* x) { return LoadInts(x); }
  static IntVec MultiplyAdd(IntVec a, IntVec b, IntVec sum) { return AddPairProducts(sum, a, b); }
};

#if defined(__AVX512VNNI__)
// … or int8 in a, bytes without a sign in b, four steps at a time, …
template <>
struct Arithmetic<int8_t> : IntSums {
  static constexpr int kStep = 4;

  static IntVec Broadcast(const int8_t* x) { return BroadcastQuad(x); }
  static IntVec Load(const void* x) { return LoadInts(x); }
  static IntVec MultiplyAdd(IntVec a, IntVec b, IntVec sum) { return AddQuadProducts(sum, a, b); }
};
#endif

#if defined(__AVX512BF16__)
// … or bf16, two steps at a time.
template <>
struct Arithmetic<uint16_t> : FloatSums {
  static constexpr int kStep = 2;

  static IntVec Broadcast(const uint16_t* x) { return BroadcastPair(x); }
  static IntVec Load(const void* x) { return LoadInts(x); }
  static Vec MultiplyAdd(IntVec a, IntVec b, Vec sum) { return AddBf16Products(sum, a, b); }
};
#endif

}  // namespace
}  // namespace cacheclip::fp32
