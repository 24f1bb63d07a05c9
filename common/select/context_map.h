// Where the chunks of a request lie. A context is the chunks' tokens one after another; an *index* counts
// from the first token of the first chunk (the shared prefix is not part of it), so index + prefix length =
// serving position. Plain value, filled by the caller; copy freely. Limits: at most kMaxContextTokens tokens,
// no negative length (Validate() says so). The other members expect a valid map.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace cacheclip {

// A half-open run of indices [begin, end).
struct IndexRange {
  int32_t begin = 0;
  int32_t end = 0;
  int32_t size() const { return end - begin; }
  friend bool operator==(const IndexRange&, const IndexRange&) = default;
};

struct ContextMap {
  static constexpr int64_t kMaxContextTokens = int64_t{1} << 24;

  std::vector<int32_t> chunk_lengths;  // tokens per chunk, in request order

  absl::Status Validate() const;  // INVALID_ARGUMENT (field "chunks") or RESOURCE_EXHAUSTED

  int num_chunks() const { return static_cast<int>(chunk_lengths.size()); }
  int32_t num_tokens() const;              // of all chunks
  std::vector<IndexRange> Chunks() const;  // one range per chunk
  // Where stale tokens begin: the first chunk is exact where it stands right behind its own prefix.
  int32_t FirstStale(bool first_chunk_is_stale) const;
  int ChunkOf(int32_t index) const;  // which chunk holds `index`, 0 <= index < num_tokens()
};

}  // namespace cacheclip
