// Fills a chunk's payload in place: the whole image is one aligned allocation whose size the header decides,
// so that finishing and writing it copies nothing.
//
//   CACHECLIP_ASSIGN_OR_RETURN(ChunkBuilder builder, ChunkBuilder::Create(std::move(header)));
//   for (layer …) { copy into builder.MutableKeys(layer); copy into builder.MutableValues(layer); }
//   std::shared_ptr<const EncodedChunk> chunk = std::move(builder).Finish();
//
// One thread at a time (different layers may be filled by different threads). The payload starts as zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "common/kv/chunk_header.h"
#include "common/kv/encoded_chunk.h"
#include "common/kv/image_memory.h"

namespace cacheclip {

class ChunkBuilder {
 public:
  // INVALID_ARGUMENT from ValidateChunkHeader(); RESOURCE_EXHAUSTED when memory is out.
  static absl::StatusOr<ChunkBuilder> Create(ChunkHeader header);

  // [num_tokens, num_kv_heads, head_dim] row-major in the header's dtype; keys before RoPE.
  std::span<std::byte> MutableKeys(int32_t layer);
  std::span<std::byte> MutableValues(int32_t layer);
  // [num_kv_heads, head_dim] and [num_tokens, num_kv_heads]; empty unless int8.
  std::span<float> MutableKeyScales(int32_t layer);
  std::span<float> MutableValueScales(int32_t layer);

  int64_t total_bytes() const { return preamble_.total_bytes; }

  // Computes the checksums and writes the header. The builder is spent.
  std::shared_ptr<const EncodedChunk> Finish() &&;

 private:
  ChunkBuilder(ChunkPreamble preamble, AlignedBytes image);
  std::span<std::byte> LayerPart(int32_t layer, int64_t offset, int64_t num_bytes);

  ChunkPreamble preamble_;
  AlignedBytes image_;
};

// The same chunk with its image on the heap: what a memory tier keeps of a chunk read from a mapped file.
absl::StatusOr<std::shared_ptr<const EncodedChunk>> CopyToHeap(const EncodedChunk& chunk);

}  // namespace cacheclip
