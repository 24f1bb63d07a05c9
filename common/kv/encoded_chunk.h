// One chunk's KV, complete and immutable: the parsed header and the serialised image (header and payload,
// contiguous) that it points into. The image lives on the heap or in a mapped file; the chunk keeps it alive,
// so a reader may go on after the store has evicted the chunk. Made by ChunkBuilder or ParseChunk(); shared
// as shared_ptr<const EncodedChunk>. Thread-safe: nothing changes after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/kv/chunk_header.h"

namespace cacheclip {

// A piece of the payload with its checksum: what a remote store holds as one value. Never crosses a layer's
// border.
struct ChunkSlice {
  int64_t offset = 0;     // from the start of the image
  int64_t num_bytes = 0;  // 1…kMaxSliceBytes
  int32_t layer = 0;
  uint64_t checksum = 0;  // XXH3-64 of the bytes
  friend bool operator==(const ChunkSlice&, const ChunkSlice&) = default;
};

// The parsed front of an image: enough to know how much payload follows, where, and what it must hash to.
struct ChunkPreamble {
  ChunkHeader header;
  std::vector<ChunkSlice> slices;  // in order, tiling the payload
  int64_t payload_offset = 0;      // = bytes of the serialised header, a multiple of 64
  int64_t total_bytes = 0;         // whole image
};

class EncodedChunk {
 public:
  // `image` must hold preamble.total_bytes and stay valid while `owner` lives. Use ParseChunk() or
  // ChunkBuilder.
  EncodedChunk(ChunkPreamble preamble, std::span<const std::byte> image, std::shared_ptr<const void> owner)
      : preamble_(std::move(preamble)), image_(image), owner_(std::move(owner)) {}

  const ChunkHeader& header() const { return preamble_.header; }
  const ChunkKey& key() const { return preamble_.header.key; }
  const KvShape& shape() const { return preamble_.header.shape; }
  int64_t num_tokens() const { return preamble_.header.num_tokens(); }
  int64_t total_bytes() const { return preamble_.total_bytes; }

  // [num_tokens, num_kv_heads, head_dim] row-major in shape().dtype, 64-byte aligned in the image; keys
  // before RoPE.
  std::span<const std::byte> Keys(int32_t layer) const;
  std::span<const std::byte> Values(int32_t layer) const;
  // Of int8 elements, else empty: an element's value is itself times its scale. [num_kv_heads, head_dim] and
  // [num_tokens, num_kv_heads].
  std::span<const float> KeyScales(int32_t layer) const;
  std::span<const float> ValueScales(int32_t layer) const;

  std::span<const std::byte> image() const { return image_; }  // exactly the bytes of docs/chunk-format.md
  std::span<const std::byte> header_bytes() const { return image_.first(preamble_.payload_offset); }
  const std::vector<ChunkSlice>& slices() const { return preamble_.slices; }
  std::span<const std::byte> SliceBytes(const ChunkSlice& slice) const {
    return image_.subspan(slice.offset, slice.num_bytes);
  }

  // DATA_LOSS naming the first slice whose bytes do not have their checksum, or the layer with a scale that
  // is none. Reads the whole payload / one layer.
  absl::Status VerifyPayload() const;
  absl::Status VerifyLayer(int32_t layer) const;
  // DATA_LOSS unless every scale of the layer is one (IsScale()). Checksums find accidents only; this keeps
  // what a faulty writer stored from becoming NaN in a cache. Part of VerifyPayload() and VerifyLayer().
  absl::Status CheckScales(int32_t layer) const;

 private:
  std::span<const std::byte> LayerPart(int32_t layer, int64_t offset, int64_t num_bytes) const;
  std::span<const float> Scales(int32_t layer, int64_t offset, int64_t num_bytes) const;
  absl::Status VerifySlice(const ChunkSlice& slice) const;

  ChunkPreamble preamble_;
  std::span<const std::byte> image_;
  std::shared_ptr<const void> owner_;
};

}  // namespace cacheclip
