// The byte format of a chunk (docs/chunk-format.md has the picture): serialised header with ids, spans, slice
// index and its own checksum, then keys, values and scales per layer, 64-byte aligned, little endian. Nothing
// in it is executable; every length is bounded and checked against the bytes at hand before it is used, and
// only the canonical form is accepted: an image that parses serialises back to itself. Thread-safe: functions
// on values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/kv/chunk_header.h"
#include "common/kv/encoded_chunk.h"

namespace cacheclip {

inline constexpr uint32_t kChunkFormatVersion = 1;
inline constexpr int64_t kChunkAlignment = 64;
inline constexpr int64_t kMaxSliceBytes = int64_t{1} << 20;
inline constexpr int64_t kChunkFixedHeaderBytes = 192;
inline constexpr int64_t kMaxChunkHeaderBytes = int64_t{4}
                                                << 20;  // what all other limits add up to, and more

enum class PayloadCheck {
  kVerify,   // compare every slice with its checksum: for bytes that come from disk or the network
  kTrusted,  // only the header is checked; the caller verifies (per layer, or slice by slice as they arrive)
};

// DATA_LOSS with the reason when the bytes are no chunk of this version, or not all of it, or more than it.
// `owner` keeps `image` alive.
absl::StatusOr<std::shared_ptr<const EncodedChunk>> ParseChunk(std::span<const std::byte> image,
                                                               std::shared_ptr<const void> owner,
                                                               PayloadCheck check);

// The front alone, for stores that fetch header and slices apart. `bytes` may hold less than the whole image
// but must hold the whole header. DATA_LOSS as above.
absl::StatusOr<ChunkPreamble> ParseChunkPreamble(std::span<const std::byte> bytes);

// How many bytes the header takes, read from the first kChunkFixedHeaderBytes. DATA_LOSS unless magic,
// version and length are plausible.
absl::StatusOr<int64_t> ParseChunkHeaderBytes(std::span<const std::byte> bytes);

// Where everything lies for `header` (slice checksums still 0). The same errors as ValidateChunkHeader().
absl::StatusOr<ChunkPreamble> PlanChunk(ChunkHeader header);

// Writes the serialised header; `out` must be exactly preamble.payload_offset bytes.
void WriteChunkHeader(const ChunkPreamble& preamble, std::span<std::byte> out);

// Bytes from the start of a layer's block to its values, to the scales of its keys and of its values (which
// take none unless int8), and to the next layer's block.
int64_t LayerValuesOffset(const KvShape& shape, int64_t num_tokens);
int64_t LayerKeyScalesOffset(const KvShape& shape, int64_t num_tokens);
int64_t LayerValueScalesOffset(const KvShape& shape, int64_t num_tokens);
int64_t LayerStride(const KvShape& shape, int64_t num_tokens);

}  // namespace cacheclip
