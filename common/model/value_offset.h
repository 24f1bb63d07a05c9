// What computing tokens anew added to their values on average, and adding it to tokens that stay stale: the
// mean-offset correction (method.md §9), for evaluations. One session, on the compute thread.
//
//   ValueOffset offset(session, chosen_slots, num_layers);  // while they are stale
//   … session.Run(…) …                                      // now they are fresh
//   offset.AddTo(stale_slots, 0.5);
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "common/model/inference_session.h"

namespace cacheclip {

class ValueOffset {
 public:
  // Keeps the values of layers 0 … num_layers - 1 at `slots` (ascending, not empty).
  ValueOffset(InferenceSession& session, std::span<const int32_t> slots, int num_layers);
  ~ValueOffset();

  // Adds `share` of the mean over the slots given before (by layer, head and dimension) of new minus kept
  // value.
  void AddTo(std::span<const int32_t> slots, double share);  // ascending

 private:
  struct Kept;
  InferenceSession& session_;
  std::unique_ptr<Kept> kept_;
};

}  // namespace cacheclip
