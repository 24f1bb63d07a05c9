// Which keys the lanes of one block or panel of queries attend to: the limits of their rows, and what local
// heads leave out. Included by kernel files alone (compiled with their flags).
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/model/kernels/local_rows.h"

namespace cacheclip {
namespace {

inline bool IsLocal(const LocalRows& local, int kv_head) {
  return local.heads != nullptr && local.heads[kv_head] != 0;
}

template <int kNumLanes>
class LaneLimits {
 public:
  // `limits` [num_rows], as the kernel's arguments have them; row_of(i): the row of lane i, ascending.
  template <typename RowOf>
  void Begin(const int32_t* limits, const LocalRows& local, int kv_head, const RowOf& row_of) {
    const bool is_local = IsLocal(local, kv_head);
    for (int i = 0; i < kNumLanes; ++i) {
      limits_[i] = limits[row_of(i)];
      from_[i] = is_local ? local.first_slots[row_of(i)] : 0;
    }
    const auto [first, last] = std::minmax_element(from_, from_ + kNumLanes);
    first_from_ = *first, last_from_ = *last;
  }

  int end() const { return limits_[kNumLanes - 1] + 1; }  // behind the last key that any lane attends to

  // `key`, or the first behind it that some lane may attend to; both the first of a tile.
  int SeenFrom(int key) const { return key < kLocalBlock ? key : std::max(key, first_from_); }

  // Whether some lane does not attend to all of a tile's keys.
  bool Hides(int key, int num_keys) const { return key + num_keys - 1 > limits_[0] || IsLeftOut(key); }

  // The last key that each lane attends to of the tile that begins at `key`; below `key` if to none.
  const int32_t* LastKeys(int key) {
    const bool is_left_out = IsLeftOut(key);
    for (int i = 0; i < kNumLanes; ++i) last_keys_[i] = is_left_out && key < from_[i] ? -1 : limits_[i];
    return last_keys_;
  }

 private:
  bool IsLeftOut(int key) const { return key >= kLocalBlock && key < last_from_; }  // by some lane

  alignas(64) int32_t limits_[kNumLanes];
  alignas(64) int32_t from_[kNumLanes];  // behind the first block, lanes attend to keys from here on
  alignas(64) int32_t last_keys_[kNumLanes];
  int first_from_, last_from_;  // least and greatest of from_
};

}  // namespace
}  // namespace cacheclip
