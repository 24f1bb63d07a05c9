#include "common/model/prompt_tokens.h"

namespace cacheclip {

int32_t PromptTokens::context_size() const { return context_map().num_tokens(); }

ContextMap PromptTokens::context_map() const {
  ContextMap map;
  for (const auto& ids : chunk_ids) map.chunk_lengths.push_back(static_cast<int32_t>(ids.size()));
  return map;
}

void Rows::Append(int32_t id, int32_t slot, int32_t position) {
  ids.push_back(id);
  slots.push_back(slot);
  positions.push_back(position);
}

void Rows::Append(std::span<const int32_t> run, int32_t first_slot, int32_t first_position) {
  for (size_t i = 0; i < run.size(); ++i)
    Append(run[i], first_slot + static_cast<int32_t>(i), first_position + static_cast<int32_t>(i));
}

void Rows::DropFirst(int32_t count) {
  for (std::vector<int32_t>* column : {&ids, &slots, &positions})
    column->erase(column->begin(), column->begin() + count);
}

Rows FullRows(const PromptTokens& prompt) {
  Rows rows;
  rows.Append(prompt.prefix_ids, 0, 0);
  for (const auto& ids : prompt.chunk_ids) rows.Append(ids, rows.size(), rows.size());
  rows.Append(prompt.suffix_ids, rows.size(), rows.size());
  return rows;
}

Rows SelectiveRows(const PromptTokens& prompt, std::span<const int32_t> recompute_indices) {
  std::vector<int32_t> context;
  for (const auto& ids : prompt.chunk_ids) context.insert(context.end(), ids.begin(), ids.end());
  Rows rows;
  const int32_t first = prompt.prefix_size();
  for (int32_t index : recompute_indices)
    rows.Append(context[static_cast<size_t>(index)], first + index, first + index);
  rows.Append(prompt.suffix_ids, prompt.suffix_begin(), prompt.suffix_begin());
  return rows;
}

}  // namespace cacheclip
