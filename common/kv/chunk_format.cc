#include "common/kv/chunk_format.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/hash.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/kv/chunk_wire.h"

namespace cacheclip {
namespace {

using chunk_wire::FixedHeader;
using chunk_wire::HeaderCounts;
using chunk_wire::SliceEntry;

HeaderCounts CountsOf(const ChunkHeader& header, int64_t num_slices) {
  return {static_cast<int64_t>(header.prefix_ids.size()), header.num_tokens(),
          static_cast<int64_t>(header.token_spans.size()), static_cast<int64_t>(header.writer_version.size()),
          num_slices};
}

FixedHeader MakeFixedHeader(const ChunkPreamble& preamble) {
  const ChunkHeader& header = preamble.header;
  FixedHeader fixed{};
  std::copy(std::begin(chunk_wire::kMagic), std::end(chunk_wire::kMagic), fixed.magic);
  fixed.format_version = kChunkFormatVersion;
  fixed.header_bytes = static_cast<uint32_t>(preamble.payload_offset);
  fixed.total_bytes = static_cast<uint64_t>(preamble.total_bytes);
  std::ranges::copy(header.key.digest, fixed.key);
  std::ranges::copy(header.model_fingerprint, fixed.model_fingerprint);
  std::ranges::copy(header.tokenizer_fingerprint, fixed.tokenizer_fingerprint);
  fixed.created_unix_seconds = header.created_unix_seconds;
  fixed.num_layers = header.shape.num_layers;
  fixed.num_kv_heads = header.shape.num_kv_heads;
  fixed.head_dim = header.shape.head_dim;
  fixed.dtype = static_cast<uint8_t>(header.shape.dtype);
  fixed.layout = static_cast<uint8_t>(header.layout);
  fixed.num_prefix_ids = static_cast<uint32_t>(header.prefix_ids.size());
  fixed.num_chunk_ids = static_cast<uint32_t>(header.chunk_ids.size());
  fixed.num_token_spans = static_cast<uint32_t>(header.token_spans.size());
  fixed.writer_version_bytes = static_cast<uint32_t>(header.writer_version.size());
  fixed.num_slices = static_cast<uint32_t>(preamble.slices.size());
  fixed.max_slice_bytes = kMaxSliceBytes;
  return fixed;
}

class ByteWriter {
 public:
  explicit ByteWriter(std::span<std::byte> out) : out_(out) {}
  void Write(const void* data, size_t num_bytes) {
    CACHECLIP_CHECK(num_bytes <= out_.size() - at_);
    if (num_bytes > 0) std::memcpy(out_.data() + at_, data, num_bytes);
    at_ += num_bytes;
  }
  void ZeroUpTo(size_t offset) {
    CACHECLIP_CHECK(offset >= at_ && offset <= out_.size());
    std::memset(out_.data() + at_, 0, offset - at_);
    at_ = offset;
  }

 private:
  std::span<std::byte> out_;
  size_t at_ = 0;
};

}  // namespace

int64_t LayerValuesOffset(const KvShape& shape, int64_t num_tokens) {
  return chunk_wire::RoundUp(shape.KeysBytes(num_tokens), kChunkAlignment);
}

int64_t LayerKeyScalesOffset(const KvShape& shape, int64_t num_tokens) {
  return 2 * LayerValuesOffset(shape, num_tokens);
}

int64_t LayerValueScalesOffset(const KvShape& shape, int64_t num_tokens) {
  return LayerKeyScalesOffset(shape, num_tokens) +
         chunk_wire::RoundUp(shape.KeyScalesBytes(), kChunkAlignment);
}

int64_t LayerStride(const KvShape& shape, int64_t num_tokens) {
  return LayerValueScalesOffset(shape, num_tokens) +
         chunk_wire::RoundUp(shape.ValueScalesBytes(num_tokens), kChunkAlignment);
}

absl::StatusOr<ChunkPreamble> PlanChunk(ChunkHeader header) {
  CACHECLIP_RETURN_IF_ERROR(ValidateChunkHeader(header));
  ChunkPreamble preamble;
  const int64_t stride = LayerStride(header.shape, header.num_tokens());
  const int64_t num_slices = chunk_wire::NumSlices(header.shape, header.num_tokens());
  preamble.payload_offset = chunk_wire::HeaderBytes(CountsOf(header, num_slices));
  preamble.total_bytes = preamble.payload_offset + header.shape.num_layers * stride;
  preamble.slices.reserve(num_slices);
  for (int32_t layer = 0; layer < header.shape.num_layers; ++layer)
    for (int64_t begin = 0; begin < stride; begin += kMaxSliceBytes)
      preamble.slices.push_back({preamble.payload_offset + layer * stride + begin,
                                 std::min(kMaxSliceBytes, stride - begin), layer, 0});
  preamble.header = std::move(header);
  return preamble;
}

void WriteChunkHeader(const ChunkPreamble& preamble, std::span<std::byte> out) {
  CACHECLIP_CHECK(static_cast<int64_t>(out.size()) == preamble.payload_offset);
  const ChunkHeader& header = preamble.header;
  const FixedHeader fixed = MakeFixedHeader(preamble);
  ByteWriter writer(out);
  writer.Write(&fixed, sizeof fixed);
  writer.Write(header.prefix_ids.data(), header.prefix_ids.size() * sizeof(int32_t));
  writer.Write(header.chunk_ids.data(), header.chunk_ids.size() * sizeof(int32_t));
  writer.Write(header.token_spans.data(), header.token_spans.size() * sizeof(TokenSpan));
  writer.Write(header.writer_version.data(), header.writer_version.size());
  writer.ZeroUpTo(chunk_wire::SliceIndexOffset(CountsOf(header, preamble.slices.size())));
  for (const ChunkSlice& slice : preamble.slices) {
    const SliceEntry entry{static_cast<uint64_t>(slice.offset), static_cast<uint32_t>(slice.num_bytes),
                           static_cast<uint32_t>(slice.layer), slice.checksum};
    writer.Write(&entry, sizeof entry);
  }
  const size_t checksum_offset = out.size() - chunk_wire::kHeaderChecksumBytes;
  writer.ZeroUpTo(checksum_offset);
  const uint64_t checksum = Checksum64(out.data(), checksum_offset);
  writer.Write(&checksum, sizeof checksum);
}

}  // namespace cacheclip
