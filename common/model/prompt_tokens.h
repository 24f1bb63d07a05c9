// A request's prompt as token ids: shared prefix, chunks in request order, suffix (question and the turn's
// tail). All three were tokenised separately, so full prefill and reuse see the same ids. Also the rows of a
// forward pass. Plain values; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/select/context_map.h"
#include "common/select/selection.h"

namespace cacheclip {

struct PromptTokens {
  std::vector<int32_t> prefix_ids;
  std::vector<std::vector<int32_t>> chunk_ids;
  std::vector<int32_t> suffix_ids;
  // suffix_ids[question_begin, question_end): the question's own tokens, the rows that score context tokens.
  int32_t question_begin = 0, question_end = 0;

  int32_t prefix_size() const { return static_cast<int32_t>(prefix_ids.size()); }
  int32_t context_size() const;  // tokens of all chunks
  int32_t suffix_begin() const {
    return prefix_size() + context_size();
  }  // serving position of the first suffix token
  int32_t size() const { return suffix_begin() + static_cast<int32_t>(suffix_ids.size()); }
  ContextMap context_map() const;
};

// Rows of one forward pass: token `ids[i]` is computed, its key and value go to cache slot `slots[i]`, keys
// and queries are rotated to `positions[i]`, and it attends to slots 0 … slots[i]. `slots` is strictly
// ascending. Slot and position are equal except where several chunks share positions (parallel auxiliary
// pass).
struct Rows {
  std::vector<int32_t> ids, slots, positions;

  int32_t size() const { return static_cast<int32_t>(ids.size()); }
  void Append(int32_t id, int32_t slot, int32_t position);
  void Append(std::span<const int32_t> run, int32_t first_slot, int32_t first_position);  // neighbours
  void DropFirst(int32_t count);
};

// Every token of the prompt: full prefill.
Rows FullRows(const PromptTokens& prompt);

// The recomputed tokens and the suffix: one fused pass (method.md §5). Indices count from the first chunk
// token.
Rows SelectiveRows(const PromptTokens& prompt, std::span<const int32_t> recompute_indices);

}  // namespace cacheclip
