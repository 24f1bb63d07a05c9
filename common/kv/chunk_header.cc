#include "common/kv/chunk_header.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/kv/chunk_format.h"

namespace cacheclip {
namespace {

absl::Status CheckIds(std::string_view field, const std::vector<int32_t>& ids) {
  if (static_cast<int64_t>(ids.size()) > kMaxChunkTokens)
    return InvalidField(field, absl::StrCat("at most ", kMaxChunkTokens, " tokens, got ", ids.size()));
  if (std::any_of(ids.begin(), ids.end(), [](int32_t id) { return id < 0; }))
    return InvalidField(field, "a token id is negative");
  return absl::OkStatus();
}

absl::Status CheckSpans(const ChunkHeader& header) {
  if (!header.token_spans.empty() && header.token_spans.size() != header.chunk_ids.size())
    return InvalidField("token_spans",
                        absl::StrCat("must be one per chunk token or none: ", header.token_spans.size(),
                                     " spans for ", header.chunk_ids.size(), " tokens"));
  for (const TokenSpan& span : header.token_spans)
    if (span.begin > span.end)
      return InvalidField("token_spans", absl::StrCat("begin ", span.begin, " is behind end ", span.end));
  return absl::OkStatus();
}

}  // namespace

ChunkHeader MakeChunkHeader(const ChunkIdentity& identity) {
  ChunkHeader header;
  header.key = ComputeChunkKey(identity);
  header.model_fingerprint = identity.model_fingerprint;
  header.tokenizer_fingerprint = identity.tokenizer_fingerprint;
  header.shape = identity.shape;
  header.layout = identity.layout;
  header.prefix_ids.assign(identity.prefix_ids.begin(), identity.prefix_ids.end());
  header.chunk_ids.assign(identity.chunk_ids.begin(), identity.chunk_ids.end());
  return header;
}

absl::Status ValidateChunkHeader(const ChunkHeader& header) {
  CACHECLIP_RETURN_IF_ERROR(ValidateKvShape(header.shape));
  if (header.layout != KvLayout::kTokenHeadDim)
    return InvalidField("layout", absl::StrCat("unknown layout ", static_cast<int>(header.layout)));
  if (header.chunk_ids.empty()) return InvalidField("chunk_ids", "must not be empty");
  CACHECLIP_RETURN_IF_ERROR(CheckIds("chunk_ids", header.chunk_ids));
  CACHECLIP_RETURN_IF_ERROR(CheckIds("prefix_ids", header.prefix_ids));
  CACHECLIP_RETURN_IF_ERROR(CheckSpans(header));
  if (static_cast<int64_t>(header.writer_version.size()) > kMaxWriterVersionBytes)
    return InvalidField("writer_version", absl::StrCat("at most ", kMaxWriterVersionBytes, " bytes, got ",
                                                       header.writer_version.size()));
  const int64_t payload_bytes = header.shape.num_layers * LayerStride(header.shape, header.num_tokens());
  if (payload_bytes > kMaxChunkPayloadBytes)
    return InvalidField("chunk_ids", absl::StrCat("payload of ", payload_bytes, " bytes, the most is ",
                                                  kMaxChunkPayloadBytes));
  return absl::OkStatus();
}

absl::Status CheckIdentity(const ChunkHeader& header, const ChunkKey& key,
                           std::span<const int32_t> prefix_ids, std::span<const int32_t> chunk_ids) {
  const auto mismatch = [&](std::string_view what) {
    return absl::DataLossError(
        absl::StrCat("chunk ", key.ToHex(), ": stored ", AbslView(what), " are not the asked ones"));
  };
  if (header.key != key) return mismatch("key bytes");
  if (!std::ranges::equal(header.prefix_ids, prefix_ids)) return mismatch("prefix ids");
  if (!std::ranges::equal(header.chunk_ids, chunk_ids)) return mismatch("chunk ids");
  return absl::OkStatus();
}

}  // namespace cacheclip
