// bf16 arrays for the tests of the kernels: conversion written out, 64-byte aligned memory, random values.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/isa.h"

namespace cacheclip {

inline constexpr char kNoBf16[] = "this CPU lacks AVX-512 BF16";

inline float FromBf16(avx512::Bf16 bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

inline avx512::Bf16 ToBf16(float value) {  // nearest, ties to even
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<avx512::Bf16>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline std::vector<avx512::Bf16> RandomBf16(size_t count, uint32_t seed, float scale = 1, float offset = 0) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<avx512::Bf16> values(count);
  for (auto& value : values) value = ToBf16(scale * normal(random) + offset);
  return values;
}

// One layer's packed keys and values, zeroed.
class PackedLayer {
 public:
  PackedLayer(int num_kv_heads, int head_dim, int capacity)
      : num_kv_heads_(num_kv_heads),
        head_dim_(head_dim),
        capacity_(capacity),
        keys_(Allocate()),
        values_(Allocate()) {}
  avx512::CacheSlice slice() const {
    return {keys_.get(), values_.get(), num_kv_heads_, head_dim_, capacity_};
  }

 private:
  using Memory = std::unique_ptr<avx512::Bf16, decltype(&std::free)>;
  Memory Allocate() const {
    const size_t bytes = static_cast<size_t>(num_kv_heads_) * capacity_ * head_dim_ * sizeof(avx512::Bf16);
    void* memory = std::aligned_alloc(64, bytes);
    std::memset(memory, 0, bytes);
    return {static_cast<avx512::Bf16*>(memory), &std::free};
  }
  int num_kv_heads_, head_dim_, capacity_;
  Memory keys_, values_;
};

inline int AlignedCapacity(int num_slots) {
  return (num_slots + avx512::kSlotAlignment - 1) / avx512::kSlotAlignment * avx512::kSlotAlignment;
}

}  // namespace cacheclip
