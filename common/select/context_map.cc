#include "common/select/context_map.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"

namespace cacheclip {

absl::Status ContextMap::Validate() const {
  int64_t total = 0;
  for (int i = 0; i < num_chunks(); ++i) {
    if (chunk_lengths[i] < 0)
      return InvalidField("chunks", absl::StrCat("chunk ", i, " has a length of ", chunk_lengths[i]));
    total += chunk_lengths[i];
  }
  if (total > kMaxContextTokens)
    return FieldError(absl::StatusCode::kResourceExhausted, "chunks",
                      absl::StrCat(total, " tokens, at most ", kMaxContextTokens, " are allowed"));
  return absl::OkStatus();
}

int32_t ContextMap::num_tokens() const {
  return std::accumulate(chunk_lengths.begin(), chunk_lengths.end(), int32_t{0});
}

int32_t ContextMap::FirstStale(bool first_chunk_is_stale) const {
  return first_chunk_is_stale || chunk_lengths.empty() ? 0 : chunk_lengths.front();
}

std::vector<IndexRange> ContextMap::Chunks() const {
  std::vector<IndexRange> ranges;
  ranges.reserve(chunk_lengths.size());
  int32_t begin = 0;
  for (const int32_t length : chunk_lengths) {
    ranges.push_back({begin, begin + length});
    begin += length;
  }
  return ranges;
}

int ContextMap::ChunkOf(int32_t index) const {
  int32_t end = 0;
  for (int i = 0; i < num_chunks(); ++i) {
    end += chunk_lengths[i];
    if (index < end) return i;
  }
  CACHECLIP_CHECK(false) << "index " << index << " lies beyond the context's " << end << " tokens";
  return -1;
}

}  // namespace cacheclip
