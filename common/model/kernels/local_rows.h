// Attention heads that look only around them, as both attention kernels are told of them: rows of such a head
// leave out whole blocks of slots between the first and the ones that stand near. Values only.
#pragma once

#include <cstdint>

namespace cacheclip {

inline constexpr int kLocalBlock = 128;  // slots

struct LocalRows {
  // [num_kv_heads], 1: row r of the head's queries attends to slots 0 … kLocalBlock - 1 and to first_slots[r]
  // … limits[r] alone. Null: no head does. Passes of at most 16 rows times heads in a group may ignore it.
  const uint8_t* heads = nullptr;
  const int32_t* first_slots = nullptr;  // [num_rows], multiples of kLocalBlock, at most limits[r]
};

}  // namespace cacheclip
