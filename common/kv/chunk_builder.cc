#include "common/kv/chunk_builder.h"

#include <cstring>
#include <utility>

#include "common/base/hash.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/kv/chunk_format.h"

namespace cacheclip {

ChunkBuilder::ChunkBuilder(ChunkPreamble preamble, AlignedBytes image)
    : preamble_(std::move(preamble)), image_(std::move(image)) {}

absl::StatusOr<ChunkBuilder> ChunkBuilder::Create(ChunkHeader header) {
  CACHECLIP_ASSIGN_OR_RETURN(ChunkPreamble preamble, PlanChunk(std::move(header)));
  CACHECLIP_ASSIGN_OR_RETURN(AlignedBytes image, AllocateImage(preamble.total_bytes));
  return ChunkBuilder(std::move(preamble), std::move(image));
}

std::span<std::byte> ChunkBuilder::LayerPart(int32_t layer, int64_t offset, int64_t num_bytes) {
  const ChunkHeader& header = preamble_.header;
  CACHECLIP_CHECK(layer >= 0 && layer < header.shape.num_layers) << "layer " << layer;
  const int64_t layer_offset =
      preamble_.payload_offset + layer * LayerStride(header.shape, header.num_tokens());
  return image_.span().subspan(layer_offset + offset, num_bytes);
}

std::span<std::byte> ChunkBuilder::MutableKeys(int32_t layer) {
  const ChunkHeader& header = preamble_.header;
  return LayerPart(layer, 0, header.shape.KeysBytes(header.num_tokens()));
}

std::span<std::byte> ChunkBuilder::MutableValues(int32_t layer) {
  const ChunkHeader& header = preamble_.header;
  return LayerPart(layer, LayerValuesOffset(header.shape, header.num_tokens()),
                   header.shape.KeysBytes(header.num_tokens()));
}

std::span<float> ChunkBuilder::MutableKeyScales(int32_t layer) {
  const ChunkHeader& header = preamble_.header;
  const auto bytes = LayerPart(layer, LayerKeyScalesOffset(header.shape, header.num_tokens()),
                               header.shape.KeyScalesBytes());
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

std::span<float> ChunkBuilder::MutableValueScales(int32_t layer) {
  const ChunkHeader& header = preamble_.header;
  const auto bytes = LayerPart(layer, LayerValueScalesOffset(header.shape, header.num_tokens()),
                               header.shape.ValueScalesBytes(header.num_tokens()));
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

std::shared_ptr<const EncodedChunk> ChunkBuilder::Finish() && {
  for (ChunkSlice& slice : preamble_.slices)
    slice.checksum = Checksum64(image_.data.get() + slice.offset, slice.num_bytes);
  WriteChunkHeader(preamble_, image_.span().first(preamble_.payload_offset));
  const auto image = image_.span();
  return std::make_shared<EncodedChunk>(std::move(preamble_), image, std::move(image_.data));
}

absl::StatusOr<std::shared_ptr<const EncodedChunk>> CopyToHeap(const EncodedChunk& chunk) {
  CACHECLIP_ASSIGN_OR_RETURN(AlignedBytes copy, AllocateImageToFill(chunk.total_bytes()));
  std::memcpy(copy.data.get(), chunk.image().data(), chunk.image().size());
  return ParseChunk(copy.span(), copy.data, PayloadCheck::kTrusted);
}

}  // namespace cacheclip
