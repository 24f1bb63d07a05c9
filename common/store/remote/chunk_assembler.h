// Puts a chunk together as its bytes come in from a remote tier: one aligned image, allocated as soon as the
// header is known and filled slice by slice in order, straight from the network. A slice counts only once its
// checksum holds, a layer is published to readers only once all its slices count.
//
//   CACHECLIP_ASSIGN_OR_RETURN(auto assembler, ChunkAssembler::Start(header_bytes, key));
//   give assembler->chunk() and ->arrival() to the reader, who waits for layers
//   for (slice …) { receive into assembler->SliceSpace(i);
//   CACHECLIP_RETURN_IF_ERROR(assembler->FinishSlice()); }
//
// One writing thread at a time; chunk() and arrival() are for any number of readers and may outlive the
// assembler. An assembler that goes before its last slice fails the arrival. Bounded by
// kMaxChunkPayloadBytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/kv/chunk_builder.h"
#include "common/kv/chunk_key.h"
#include "common/kv/encoded_chunk.h"
#include "common/store/chunk_arrival.h"

namespace cacheclip {

class ChunkAssembler {
 public:
  // `header_bytes`: at least the whole header (a longer front of the image is fine; only the header is
  // taken). DATA_LOSS: no chunk header, or that of another key. RESOURCE_EXHAUSTED: no memory.
  static absl::StatusOr<std::unique_ptr<ChunkAssembler>> Start(std::span<const std::byte> header_bytes,
                                                               const ChunkKey& key);
  // The same for a caller that has parsed the header already (to reserve its bytes first).
  static absl::StatusOr<std::unique_ptr<ChunkAssembler>> Start(ChunkPreamble preamble,
                                                               std::span<const std::byte> header_bytes);
  ~ChunkAssembler();
  ChunkAssembler(const ChunkAssembler&) = delete;
  ChunkAssembler& operator=(const ChunkAssembler&) = delete;

  // Header, ids and shape may be read at once, a layer when the arrival says so.
  const std::shared_ptr<const EncodedChunk>& chunk() const { return chunk_; }
  const std::shared_ptr<ChunkArrival>& arrival() const { return arrival_; }

  size_t num_slices() const { return chunk_->slices().size(); }
  size_t num_finished() const { return num_finished_; }
  bool is_complete() const { return num_finished_ == num_slices(); }
  const ChunkSlice& slice(size_t index) const { return chunk_->slices()[index]; }

  // Where the bytes of a slice belong; neighbours are contiguous, so that one read may fill several.
  std::span<std::byte> SliceSpace(size_t index) const;
  std::span<std::byte> SlicesSpace(size_t begin, size_t end) const;  // slices begin … end - 1

  // The next slice in order is there. DATA_LOSS when its checksum does not hold: the arrival has failed then.
  absl::Status FinishSlice();
  absl::Status FinishSlices(size_t end);  // all up to `end`

  // Nothing more will come. OK must not be given; ignored once complete.
  void Fail(const absl::Status& status) { arrival_->Fail(status); }

 private:
  ChunkAssembler(ChunkPreamble preamble, AlignedBytes image);

  const AlignedBytes image_;
  const std::shared_ptr<const EncodedChunk> chunk_;
  const std::shared_ptr<ChunkArrival> arrival_;
  size_t num_finished_ = 0;
};

}  // namespace cacheclip
