// The fixed structures of the byte format and the sizes that follow from their counts: shared by the writer
// (chunk_format.cc) and the parser (chunk_parser.cc), included by nobody else. docs/chunk-format.md documents
// every field; the structures are copied in and out with memcpy, never pointed at inside an image. Values
// only; thread-safe. The arithmetic is sound for counts and shapes within their limits.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "common/kv/chunk_format.h"
#include "common/kv/kv_shape.h"

namespace cacheclip::chunk_wire {

static_assert(std::endian::native == std::endian::little, "the format is little endian and is read in place");

inline constexpr char kMagic[8] = {'C', 'C', 'L', 'I', 'P', 'K', 'V', '\0'};
inline constexpr int64_t kHeaderChecksumBytes = 8;

struct FixedHeader {
  char magic[8];
  uint32_t format_version;
  uint32_t header_bytes;
  uint64_t total_bytes;
  uint8_t key[32];
  uint8_t model_fingerprint[32];
  uint8_t tokenizer_fingerprint[32];
  int64_t created_unix_seconds;
  int32_t num_layers;
  int32_t num_kv_heads;
  int32_t head_dim;
  uint8_t dtype;
  uint8_t layout;
  uint16_t reserved_flags;
  uint32_t num_prefix_ids;
  uint32_t num_chunk_ids;
  uint32_t num_token_spans;
  uint32_t writer_version_bytes;
  uint32_t num_slices;
  uint32_t max_slice_bytes;
  uint8_t reserved[24];
};
static_assert(sizeof(FixedHeader) == kChunkFixedHeaderBytes && std::is_trivially_copyable_v<FixedHeader>);

struct SliceEntry {
  uint64_t offset;
  uint32_t num_bytes;
  uint32_t layer;
  uint64_t checksum;
};
static_assert(sizeof(SliceEntry) == 24 && std::is_trivially_copyable_v<SliceEntry>);

inline int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

inline int64_t NumSlices(const KvShape& shape, int64_t num_tokens) {
  return shape.num_layers * (RoundUp(LayerStride(shape, num_tokens), kMaxSliceBytes) / kMaxSliceBytes);
}

struct HeaderCounts {
  int64_t num_prefix_ids = 0;
  int64_t num_chunk_ids = 0;
  int64_t num_token_spans = 0;
  int64_t writer_version_bytes = 0;
  int64_t num_slices = 0;
};

// Where the slice index begins: behind ids, spans and writer version, on a multiple of 8.
inline int64_t SliceIndexOffset(const HeaderCounts& counts) {
  return RoundUp(kChunkFixedHeaderBytes + 4 * counts.num_prefix_ids + 4 * counts.num_chunk_ids +
                     8 * counts.num_token_spans + counts.writer_version_bytes,
                 8);
}

inline int64_t HeaderBytes(const HeaderCounts& counts) {
  return RoundUp(SliceIndexOffset(counts) + static_cast<int64_t>(sizeof(SliceEntry)) * counts.num_slices +
                     kHeaderChecksumBytes,
                 kChunkAlignment);
}

}  // namespace cacheclip::chunk_wire
