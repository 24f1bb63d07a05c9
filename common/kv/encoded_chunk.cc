#include "common/kv/encoded_chunk.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/logging.h"
#include "common/kv/chunk_format.h"
#include "common/kv/int8_quantiser.h"

namespace cacheclip {

std::span<const std::byte> EncodedChunk::LayerPart(int32_t layer, int64_t offset, int64_t num_bytes) const {
  CACHECLIP_CHECK(layer >= 0 && layer < shape().num_layers)
      << "layer " << layer << " of " << shape().num_layers;
  const int64_t layer_offset = preamble_.payload_offset + layer * LayerStride(shape(), num_tokens());
  return image_.subspan(layer_offset + offset, num_bytes);
}

std::span<const float> EncodedChunk::Scales(int32_t layer, int64_t offset, int64_t num_bytes) const {
  const auto bytes = LayerPart(layer, offset, num_bytes);
  CACHECLIP_CHECK(reinterpret_cast<uintptr_t>(bytes.data()) % alignof(float) == 0);
  return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
}

std::span<const std::byte> EncodedChunk::Keys(int32_t layer) const {
  return LayerPart(layer, 0, shape().KeysBytes(num_tokens()));
}

std::span<const std::byte> EncodedChunk::Values(int32_t layer) const {
  return LayerPart(layer, LayerValuesOffset(shape(), num_tokens()), shape().KeysBytes(num_tokens()));
}

std::span<const float> EncodedChunk::KeyScales(int32_t layer) const {
  return Scales(layer, LayerKeyScalesOffset(shape(), num_tokens()), shape().KeyScalesBytes());
}

std::span<const float> EncodedChunk::ValueScales(int32_t layer) const {
  return Scales(layer, LayerValueScalesOffset(shape(), num_tokens()), shape().ValueScalesBytes(num_tokens()));
}

absl::Status EncodedChunk::VerifyPayload() const {
  for (const ChunkSlice& slice : slices())
    if (absl::Status status = VerifySlice(slice); !status.ok()) return status;
  for (int32_t layer = 0; layer < shape().num_layers; ++layer)
    if (absl::Status status = CheckScales(layer); !status.ok()) return status;
  return absl::OkStatus();
}

absl::Status EncodedChunk::VerifyLayer(int32_t layer) const {
  for (const ChunkSlice& slice : slices())
    if (slice.layer == layer)
      if (absl::Status status = VerifySlice(slice); !status.ok()) return status;
  return CheckScales(layer);
}

absl::Status EncodedChunk::CheckScales(int32_t layer) const {
  for (const auto scales : {KeyScales(layer), ValueScales(layer)})
    if (!std::ranges::all_of(scales, IsScale))
      return absl::DataLossError(
          absl::StrCat("chunk ", key().ToHex(), ": a scale of layer ", layer, " is negative or not finite"));
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
