// Attention heads by name, and those of a model that look only around them. Plain values; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

namespace cacheclip {

struct HeadId {
  int layer = 0, head = 0;
  friend bool operator==(const HeadId&, const HeadId&) = default;
};

// Key-value heads whose queries, of tokens that are recomputed, are answered by the beginning of the prompt
// and by what stands near alone (docs/adr/0024); streaming heads in Xiao et al. 2024, DuoAttention.
struct LocalHeads {
  // Tokens that a token attends to up to and including itself, at least; the beginning is that of
  // kernels/local_rows.h.
  int32_t window = 0;
  std::vector<HeadId> heads;  // HeadId::head counts key-value heads
};

}  // namespace cacheclip
