// The reading half of common/kv/chunk_format.h. Order matters: the fixed header's counts are bounded first,
// then the sizes that follow from them are compared with the stored ones and with the bytes at hand, then the
// header's checksum, and only then is anything allocated or copied.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/kv/chunk_format.h"
#include "common/kv/chunk_wire.h"

namespace cacheclip {
namespace {

using chunk_wire::FixedHeader;
using chunk_wire::HeaderCounts;
using chunk_wire::SliceEntry;

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(absl::StrCat("not a whole chunk: ", AbslView(what)));
}

// Copies out of bytes whose length has been checked; running over them is a bug here, not bad input.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, size_t begin) : bytes_(bytes), at_(begin) {}
  void Read(void* out, size_t num_bytes) {
    CACHECLIP_CHECK(num_bytes <= bytes_.size() - at_);
    if (num_bytes > 0) std::memcpy(out, bytes_.data() + at_, num_bytes);
    at_ += num_bytes;
  }
  // False when a byte up to `offset` is not zero: only the canonical form is accepted.
  bool SkipZeros(size_t offset) {
    CACHECLIP_CHECK(offset >= at_ && offset <= bytes_.size());
    const auto gap = bytes_.subspan(at_, offset - at_);
    at_ = offset;
    return std::ranges::all_of(gap, [](std::byte byte) { return byte == std::byte{0}; });
  }

 private:
  std::span<const std::byte> bytes_;
  size_t at_;
};

KvShape ShapeOf(const FixedHeader& fixed) {
  return {fixed.num_layers, fixed.num_kv_heads, fixed.head_dim, static_cast<KvDtype>(fixed.dtype)};
}

HeaderCounts CountsOf(const FixedHeader& fixed) {
  return {fixed.num_prefix_ids, fixed.num_chunk_ids, fixed.num_token_spans, fixed.writer_version_bytes,
          fixed.num_slices};
}

absl::StatusOr<FixedHeader> ReadFixedHeader(std::span<const std::byte> bytes) {
  if (static_cast<int64_t>(bytes.size()) < kChunkFixedHeaderBytes)
    return Damaged(absl::StrCat("only ", bytes.size(), " bytes"));
  FixedHeader fixed;
  std::memcpy(&fixed, bytes.data(), sizeof fixed);
  if (!std::ranges::equal(fixed.magic, chunk_wire::kMagic)) return Damaged("the magic number is missing");
  if (fixed.format_version != kChunkFormatVersion)
    return Damaged(
        absl::StrCat("format version ", fixed.format_version, ", this reader knows ", kChunkFormatVersion));
  if (fixed.header_bytes % kChunkAlignment != 0 || fixed.header_bytes <= kChunkFixedHeaderBytes ||
      fixed.header_bytes > kMaxChunkHeaderBytes)
    return Damaged(absl::StrCat("header of ", fixed.header_bytes, " bytes"));
  return fixed;
}

// Every count within its limit and every stored size equal to the one that follows from the counts.
absl::Status CheckCounts(const FixedHeader& fixed) {
  if (absl::Status status = ValidateKvShape(ShapeOf(fixed)); !status.ok())
    return Damaged(StdView(status.message()));
  if (fixed.num_prefix_ids > kMaxChunkTokens)
    return Damaged(absl::StrCat(fixed.num_prefix_ids, " prefix ids"));
  if (fixed.num_chunk_ids < 1 || fixed.num_chunk_ids > kMaxChunkTokens)
    return Damaged(absl::StrCat(fixed.num_chunk_ids, " chunk ids"));
  if (fixed.num_token_spans != 0 && fixed.num_token_spans != fixed.num_chunk_ids)
    return Damaged(absl::StrCat(fixed.num_token_spans, " spans for ", fixed.num_chunk_ids, " tokens"));
  if (fixed.writer_version_bytes > kMaxWriterVersionBytes)
    return Damaged(absl::StrCat("writer version of ", fixed.writer_version_bytes, " bytes"));
  const int64_t payload_bytes = fixed.num_layers * LayerStride(ShapeOf(fixed), fixed.num_chunk_ids);
  if (payload_bytes > kMaxChunkPayloadBytes)
    return Damaged(absl::StrCat("payload of ", payload_bytes, " bytes"));
  if (fixed.max_slice_bytes != kMaxSliceBytes ||
      fixed.num_slices != chunk_wire::NumSlices(ShapeOf(fixed), fixed.num_chunk_ids))
    return Damaged(absl::StrCat(fixed.num_slices, " slices of up to ", fixed.max_slice_bytes, " bytes"));
  if (fixed.header_bytes != chunk_wire::HeaderBytes(CountsOf(fixed)) ||
      fixed.total_bytes != static_cast<uint64_t>(fixed.header_bytes + payload_bytes))
    return Damaged("the stored sizes do not follow from the counts");
  if (fixed.reserved_flags != 0 ||
      std::ranges::any_of(fixed.reserved, [](uint8_t byte) { return byte != 0; }))
    return Damaged("a reserved field is not zero");
  return absl::OkStatus();
}

ChunkHeader ReadHeader(const FixedHeader& fixed, ByteReader& reader) {
  ChunkHeader header;
  std::ranges::copy(fixed.key, header.key.digest.begin());
  std::ranges::copy(fixed.model_fingerprint, header.model_fingerprint.begin());
  std::ranges::copy(fixed.tokenizer_fingerprint, header.tokenizer_fingerprint.begin());
  header.shape = ShapeOf(fixed);
  header.layout = static_cast<KvLayout>(fixed.layout);
  header.created_unix_seconds = fixed.created_unix_seconds;
  header.prefix_ids.resize(fixed.num_prefix_ids);
  reader.Read(header.prefix_ids.data(), header.prefix_ids.size() * sizeof(int32_t));
  header.chunk_ids.resize(fixed.num_chunk_ids);
  reader.Read(header.chunk_ids.data(), header.chunk_ids.size() * sizeof(int32_t));
  header.token_spans.resize(fixed.num_token_spans);
  reader.Read(header.token_spans.data(), header.token_spans.size() * sizeof(TokenSpan));
  header.writer_version.resize(fixed.writer_version_bytes);
  reader.Read(header.writer_version.data(), header.writer_version.size());
  return header;
}

// The index must be the one the shape asks for; only the checksums are taken from it.
absl::Status ReadSlices(ByteReader& reader, std::vector<ChunkSlice>& slices) {
  for (ChunkSlice& slice : slices) {
    SliceEntry entry;
    reader.Read(&entry, sizeof entry);
    if (entry.offset != static_cast<uint64_t>(slice.offset) || entry.num_bytes != slice.num_bytes ||
        entry.layer != static_cast<uint32_t>(slice.layer))
      return Damaged(absl::StrCat("slice at ", slice.offset, " is indexed as ", entry.num_bytes, " bytes at ",
                                  entry.offset));
    slice.checksum = entry.checksum;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int64_t> ParseChunkHeaderBytes(std::span<const std::byte> bytes) {
  CACHECLIP_ASSIGN_OR_RETURN(const FixedHeader fixed, ReadFixedHeader(bytes));
  return fixed.header_bytes;
}

absl::StatusOr<ChunkPreamble> ParseChunkPreamble(std::span<const std::byte> bytes) {
  CACHECLIP_ASSIGN_OR_RETURN(const FixedHeader fixed, ReadFixedHeader(bytes));
  CACHECLIP_RETURN_IF_ERROR(CheckCounts(fixed));
  if (bytes.size() < fixed.header_bytes)
    return Damaged(absl::StrCat(bytes.size(), " bytes of a header of ", fixed.header_bytes));
  const auto header_bytes = bytes.first(fixed.header_bytes);
  const size_t checksum_offset = fixed.header_bytes - chunk_wire::kHeaderChecksumBytes;
  uint64_t stored_checksum;
  std::memcpy(&stored_checksum, header_bytes.data() + checksum_offset, sizeof stored_checksum);
  if (Checksum64(header_bytes.data(), checksum_offset) != stored_checksum)
    return Damaged("the header's checksum does not hold");

  ByteReader reader(header_bytes.first(checksum_offset), sizeof fixed);
  auto preamble = PlanChunk(ReadHeader(fixed, reader));
  if (!preamble.ok()) return Damaged(StdView(preamble.status().message()));
  const bool gap_is_zero = reader.SkipZeros(chunk_wire::SliceIndexOffset(CountsOf(fixed)));
  CACHECLIP_RETURN_IF_ERROR(ReadSlices(reader, preamble->slices));
  if (!gap_is_zero || !reader.SkipZeros(checksum_offset)) return Damaged("padding is not zero");
  return preamble;
}

absl::StatusOr<std::shared_ptr<const EncodedChunk>> ParseChunk(std::span<const std::byte> image,
                                                               std::shared_ptr<const void> owner,
                                                               PayloadCheck check) {
  CACHECLIP_ASSIGN_OR_RETURN(ChunkPreamble preamble, ParseChunkPreamble(image));
  if (static_cast<int64_t>(image.size()) != preamble.total_bytes)
    return Damaged(absl::StrCat(image.size(), " bytes instead of ", preamble.total_bytes));
  auto chunk = std::make_shared<const EncodedChunk>(std::move(preamble), image, std::move(owner));
  if (check == PayloadCheck::kVerify) CACHECLIP_RETURN_IF_ERROR(chunk->VerifyPayload());
  return chunk;
}

}  // namespace cacheclip
