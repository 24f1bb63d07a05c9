// What a test of an attention kernel gives it, and what a kernel is for those tests. Plain values.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "common/model/kernels/isa.h"
#include "common/model/kernels/local_rows.h"

namespace cacheclip {

struct Shape {
  int num_heads, num_kv_heads, head_dim;
};

struct Scores {
  float query_scale = 1, query_offset = 0, key_ramp = 0;  // the ramp adds ramp · slot / num_slots to each key
  float bias_step = 0;                                    // slot i has a bias of i mod 5 steps
};

struct Inputs {
  Shape shape;
  int num_slots = 0;
  std::vector<int32_t> limits;
  std::vector<float> queries;        // [limits, num_heads, head_dim]
  std::vector<float> keys, values;   // [num_slots, num_kv_heads, head_dim]
  std::vector<float> slot_bias;      // [num_slots], added to scaled scores
  std::vector<uint8_t> local_heads;  // LocalRows; empty: none
  std::vector<int32_t> first_slots;

  LocalRows local() const { return {local_heads.empty() ? nullptr : local_heads.data(), first_slots.data()}; }
  float scale() const { return 1 / std::sqrt(static_cast<float>(shape.head_dim)); }
};

struct Kernel {
  const char* name;
  Isa isa;
  bool rounds_to_bf16;  // takes bf16, so that inputs have to be
  double bound;         // of the root mean square error, relative to that of the output
  std::vector<float> (*run)(const Inputs&, int num_threads);  // not a number where nothing is written
};

inline constexpr Shape kAttentionShapes[] = {{9, 3, 64}, {14, 2, 64}, {4, 4, 64}, {9, 3, 128}, {16, 1, 128}};

}  // namespace cacheclip
