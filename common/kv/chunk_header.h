// What is known about a chunk besides its payload: identity, token ids, where each token lies in the chunk's
// text, and who wrote it when. A prefix's own KV uses the same header with prefix_ids empty and chunk_ids =
// the prefix. Values only; thread-safe. Limits are checked by ValidateChunkHeader() on the way in and out of
// the byte format.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/hash.h"
#include "common/base/token_span.h"
#include "common/kv/chunk_key.h"
#include "common/kv/kv_shape.h"

namespace cacheclip {

inline constexpr int64_t kMaxChunkTokens = 131072;  // tokens of one chunk, or of one prefix
inline constexpr int64_t kMaxWriterVersionBytes = 128;
inline constexpr int64_t kMaxChunkPayloadBytes = int64_t{16} << 30;

struct ChunkHeader {
  ChunkKey key;
  Digest model_fingerprint{};
  Digest tokenizer_fingerprint{};
  KvShape shape;
  KvLayout layout = KvLayout::kTokenHeadDim;
  std::vector<int32_t> prefix_ids;
  std::vector<int32_t> chunk_ids;
  std::vector<TokenSpan> token_spans;  // one per chunk token, or none when the chunk has no text
  std::string writer_version;          // "cacheclip 0.1.0"; purging after a bad release goes by it
  int64_t created_unix_seconds = 0;

  int64_t num_tokens() const { return static_cast<int64_t>(chunk_ids.size()); }
  friend bool operator==(const ChunkHeader&, const ChunkHeader&) = default;
};

// Everything a header names: a fresh header for `identity`, without spans, writer and time.
ChunkHeader MakeChunkHeader(const ChunkIdentity& identity);

// INVALID_ARGUMENT naming the field that is missing, negative, inconsistent or over its limit.
absl::Status ValidateChunkHeader(const ChunkHeader& header);

// DATA_LOSS unless `header` carries exactly this key and these ids: the comparison made on every hit, because
// a key is only trusted together with the tokens it stands for.
absl::Status CheckIdentity(const ChunkHeader& header, const ChunkKey& key,
                           std::span<const int32_t> prefix_ids, std::span<const int32_t> chunk_ids);

}  // namespace cacheclip
