#include "common/kv/encoded_chunk.h"

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/logging.h"
#include "common/kv/chunk_format.h"

namespace cacheclip {

std::span<const std::byte> EncodedChunk::Keys(int32_t layer) const {
  CACHECLIP_CHECK(layer >= 0 && layer < shape().num_layers)
      << "layer " << layer << " of " << shape().num_layers;
  const int64_t layer_offset = preamble_.payload_offset + layer * LayerStride(shape(), num_tokens());
  return image_.subspan(layer_offset, shape().KeysBytes(num_tokens()));
}

std::span<const std::byte> EncodedChunk::Values(int32_t layer) const {
  CACHECLIP_CHECK(layer >= 0 && layer < shape().num_layers)
      << "layer " << layer << " of " << shape().num_layers;
  const int64_t layer_offset = preamble_.payload_offset + layer * LayerStride(shape(), num_tokens());
  return image_.subspan(layer_offset + LayerValuesOffset(shape(), num_tokens()),
                        shape().KeysBytes(num_tokens()));
}

absl::Status EncodedChunk::VerifyPayload() const {
  for (const ChunkSlice& slice : slices())
    if (absl::Status status = VerifySlice(slice); !status.ok()) return status;
  return absl::OkStatus();
}

absl::Status EncodedChunk::VerifyLayer(int32_t layer) const {
  for (const ChunkSlice& slice : slices())
    if (slice.layer == layer)
      if (absl::Status status = VerifySlice(slice); !status.ok()) return status;
  return absl::OkStatus();
}

absl::Status EncodedChunk::VerifySlice(const ChunkSlice& slice) const {
  const auto bytes = SliceBytes(slice);
  if (Checksum64(bytes.data(), bytes.size()) == slice.checksum) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("chunk ", key().ToHex(), ": checksum of layer ", slice.layer,
                                          " does not hold for the ", slice.num_bytes, " bytes at ",
                                          slice.offset));
}

}  // namespace cacheclip
