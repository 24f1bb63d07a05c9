#include "common/store/remote/chunk_assembler.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/kv/chunk_format.h"

namespace cacheclip {

ChunkAssembler::ChunkAssembler(ChunkPreamble preamble, AlignedBytes image)
    : image_(std::move(image)),
      chunk_(std::make_shared<const EncodedChunk>(std::move(preamble), image_.span(), image_.data)),
      arrival_(std::make_shared<ChunkArrival>(chunk_->shape().num_layers)) {}

ChunkAssembler::~ChunkAssembler() {
  if (!is_complete()) Fail(absl::UnavailableError("the chunk was not read to its end"));
}

absl::StatusOr<std::unique_ptr<ChunkAssembler>> ChunkAssembler::Start(std::span<const std::byte> header_bytes,
                                                                      const ChunkKey& key) {
  CACHECLIP_ASSIGN_OR_RETURN(ChunkPreamble preamble, ParseChunkPreamble(header_bytes));
  if (preamble.header.key != key)
    return absl::DataLossError(
        absl::StrCat("asked for chunk ", key.ToHex(), ", found the header of ", preamble.header.key.ToHex()));
  return Start(std::move(preamble), header_bytes);
}

absl::StatusOr<std::unique_ptr<ChunkAssembler>> ChunkAssembler::Start(
    ChunkPreamble preamble, std::span<const std::byte> header_bytes) {
  CACHECLIP_ASSIGN_OR_RETURN(AlignedBytes image, AllocateImageToFill(preamble.total_bytes));
  std::memcpy(image.data.get(), header_bytes.data(), preamble.payload_offset);
  return std::unique_ptr<ChunkAssembler>(new ChunkAssembler(std::move(preamble), std::move(image)));
}

std::span<std::byte> ChunkAssembler::SliceSpace(size_t index) const {
  return image_.span().subspan(slice(index).offset, slice(index).num_bytes);
}

std::span<std::byte> ChunkAssembler::SlicesSpace(size_t begin, size_t end) const {
  CACHECLIP_CHECK(begin < end && end <= num_slices()) << begin << " … " << end;
  const int64_t offset = slice(begin).offset;
  return image_.span().subspan(offset, slice(end - 1).offset + slice(end - 1).num_bytes - offset);
}

absl::Status ChunkAssembler::FinishSlice() {
  const size_t index = num_finished_;
  CACHECLIP_CHECK(index < num_slices()) << "slice " << index << " of " << num_slices();
  const std::span<const std::byte> bytes = SliceSpace(index);
  if (Checksum64(bytes.data(), bytes.size()) != slice(index).checksum) {
    const absl::Status damaged = absl::DataLossError(
        absl::StrCat("chunk ", chunk_->key().ToHex(), ": the checksum of slice ", index, " does not hold"));
    Fail(damaged);
    return damaged;
  }
  const int32_t layer = slice(index).layer;
  const bool ends_layer = index + 1 == num_slices() || slice(index + 1).layer != layer;
  if (ends_layer)
    if (const absl::Status damaged = chunk_->CheckScales(layer); !damaged.ok()) {
      Fail(damaged);
      return damaged;
    }
  ++num_finished_;
  if (ends_layer) arrival_->Publish(layer + 1);
  return absl::OkStatus();
}

absl::Status ChunkAssembler::FinishSlices(size_t end) {
  while (num_finished_ < end) CACHECLIP_RETURN_IF_ERROR(FinishSlice());
  return absl::OkStatus();
}

}  // namespace cacheclip
