#include "common/catalog/validate.h"

#include <algorithm>
#include <unordered_map>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr size_t kChunkIdDigits = 64;
constexpr size_t kMaxPrefixIdDigits = 64;

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

absl::Status CheckText(std::string_view field, std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes)
    return FieldError(absl::StatusCode::kResourceExhausted, field,
                      absl::StrCat(text.size(), " bytes, at most ", max_bytes, " are allowed"));
  if (!IsValidUtf8(text)) return InvalidField(field, "is not valid UTF-8");
  return absl::OkStatus();
}

absl::Status CheckHex(std::string_view field, std::string_view text, size_t max_digits) {
  if (text.empty() || text.size() > max_digits || !IsLowerHex(text))
    return InvalidField(field, absl::StrCat("must be 1 to ", max_digits, " lower-case hex digits, got \"",
                                            absl::CHexEscape(AbslView(text.substr(0, 80))), "\""));
  return absl::OkStatus();
}

absl::Status ValidateChunk(const Document& document, const ChunkRecord& chunk) {
  CACHECLIP_RETURN_IF_ERROR(ValidateChunkId(chunk.chunk_id));
  if (chunk.namespace_name != document.namespace_name || chunk.prefix_id != document.prefix_id)
    return InvalidField(
        "chunks", absl::StrCat("chunk ", chunk.chunk_id, " belongs to namespace \"", chunk.namespace_name,
                               "\" and prefix ", chunk.prefix_id, ", the document to \"",
                               document.namespace_name, "\" and ", document.prefix_id));
  if (chunk.num_tokens < 1)
    return InvalidField("chunks",
                        absl::StrCat("chunk ", chunk.chunk_id, " has ", chunk.num_tokens, " tokens"));
  CACHECLIP_RETURN_IF_ERROR(CheckText("chunks.title", chunk.title, kMaxTitleBytes));
  return CheckText("chunks.text", chunk.text, kMaxChunkTextBytes);
}

// Length of the well-formed sequence at the start of `text`, 0 if there is none (RFC 3629).
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool out_of_range = (first == 0xed && byte(1) >= 0xa0) || (first == 0xf4 && byte(1) >= 0x90);
  return overlong || out_of_range ? 0 : length;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

absl::Status ValidateNamespaceName(std::string_view name) {
  const bool spelled = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' || c == '_' || c == '-';
  });
  if (name.empty() || name.size() > kMaxNamespaceNameBytes || !spelled)
    return InvalidField("namespace", absl::StrCat("must be 1 to ", kMaxNamespaceNameBytes,
                                                  " characters of a-z 0-9 . _ -, got \"",
                                                  absl::CHexEscape(AbslView(name.substr(0, 80))), "\""));
  return absl::OkStatus();
}

absl::Status ValidateDocumentId(std::string_view document_id) {
  if (document_id.empty()) return InvalidField("document_id", "must not be empty");
  if (document_id.size() > kMaxDocumentIdBytes)
    return InvalidField("document_id", absl::StrCat(document_id.size(), " bytes, at most ",
                                                    kMaxDocumentIdBytes, " are allowed"));
  if (!IsValidUtf8(document_id)) return InvalidField("document_id", "is not valid UTF-8");
  return absl::OkStatus();
}

absl::Status ValidateChunkId(std::string_view chunk_id) {
  if (chunk_id.size() != kChunkIdDigits || !IsLowerHex(chunk_id))
    return InvalidField("chunk_id", absl::StrCat("must be ", kChunkIdDigits, " lower-case hex digits, got \"",
                                                 absl::CHexEscape(AbslView(chunk_id.substr(0, 80))), "\""));
  return absl::OkStatus();
}

absl::Status ValidatePrefix(const Prefix& prefix) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(prefix.namespace_name));
  CACHECLIP_RETURN_IF_ERROR(CheckHex("prefix_id", prefix.prefix_id, kMaxPrefixIdDigits));
  CACHECLIP_RETURN_IF_ERROR(CheckText("system_prompt", prefix.system_prompt, kMaxChunkTextBytes));
  CACHECLIP_RETURN_IF_ERROR(CheckText("instruction", prefix.instruction, kMaxChunkTextBytes));
  CACHECLIP_RETURN_IF_ERROR(CheckText("separator", prefix.separator, kMaxTitleBytes));
  if (prefix.placement != "system" && prefix.placement != "user")
    return InvalidField("placement", absl::StrCat("must be system or user, got \"", prefix.placement, "\""));
  CACHECLIP_RETURN_IF_ERROR(CheckHex("model_fingerprint", prefix.model_fingerprint, kChunkIdDigits));
  CACHECLIP_RETURN_IF_ERROR(CheckHex("tokenizer_fingerprint", prefix.tokenizer_fingerprint, kChunkIdDigits));
  if (prefix.token_ids.size() > kMaxPrefixTokens)
    return FieldError(
        absl::StatusCode::kResourceExhausted, "token_ids",
        absl::StrCat(prefix.token_ids.size(), " tokens, at most ", kMaxPrefixTokens, " are allowed"));
  return absl::OkStatus();
}

absl::Status ValidateDocument(const Document& document, std::span<const ChunkRecord> chunks) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(document.namespace_name));
  CACHECLIP_RETURN_IF_ERROR(ValidateDocumentId(document.document_id));
  CACHECLIP_RETURN_IF_ERROR(CheckText("title", document.title, kMaxTitleBytes));
  CACHECLIP_RETURN_IF_ERROR(CheckText("metadata_json", document.metadata_json, kMaxMetadataBytes));
  CACHECLIP_RETURN_IF_ERROR(CheckText("content_digest", document.content_digest, kMaxTitleBytes));
  CACHECLIP_RETURN_IF_ERROR(CheckText("writer_version", document.writer_version, kMaxTitleBytes));
  CACHECLIP_RETURN_IF_ERROR(CheckHex("prefix_id", document.prefix_id, kMaxPrefixIdDigits));
  if (document.chunks.size() > kMaxChunksPerDocument)
    return FieldError(
        absl::StatusCode::kResourceExhausted, "chunks",
        absl::StrCat(document.chunks.size(), " chunks, at most ", kMaxChunksPerDocument, " are allowed"));
  std::unordered_map<std::string_view, bool> referenced;  // chunk id -> used
  for (const ChunkRecord& chunk : chunks) {
    CACHECLIP_RETURN_IF_ERROR(ValidateChunk(document, chunk));
    referenced[chunk.chunk_id] = false;
  }
  for (const ChunkReference& reference : document.chunks) {
    const auto found = referenced.find(reference.chunk_id);
    if (found == referenced.end())
      return InvalidField("chunks", absl::StrCat("no record for the referenced chunk ", reference.chunk_id));
    found->second = true;
    if (reference.begin_byte < 0 || reference.end_byte < reference.begin_byte)
      return InvalidField("chunks", absl::StrCat("byte span [", reference.begin_byte, ", ",
                                                 reference.end_byte, ") is not a span"));
  }
  for (const auto& [chunk_id, used] : referenced)
    if (!used)
      return InvalidField("chunks", absl::StrCat("chunk ", AbslView(chunk_id), " is not referenced"));
  return absl::OkStatus();
}

absl::Status ValidateLookup(std::span<const std::string> chunk_ids) {
  if (chunk_ids.size() > kMaxChunksPerLookup)
    return FieldError(absl::StatusCode::kResourceExhausted, "chunk_ids",
                      absl::StrCat(chunk_ids.size(), " ids, at most ", kMaxChunksPerLookup, " are allowed"));
  return absl::OkStatus();
}

absl::Status ValidatePinOwner(std::string_view owner) {
  if (owner.empty()) return InvalidField("owner", "must not be empty");
  return CheckText("owner", owner, kMaxPinOwnerBytes);
}

absl::Status ValidateTrimFilter(const TrimFilter& filter) {
  if (!filter.namespace_name.empty()) CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(filter.namespace_name));
  if (filter.updated_from == absl::InfinitePast() && filter.updated_until == absl::InfiniteFuture() &&
      filter.writer_version.empty())
    return InvalidField("filter", "give a time range or a writer version; without one everything would go");
  return absl::OkStatus();
}

absl::Status NoSuchRecord(std::string_view field, std::string_view value) {
  return FieldError(absl::StatusCode::kNotFound, field,
                    absl::StrCat("\"", AbslView(value), "\" does not exist"));
}

absl::StatusOr<int> EffectivePageSize(int page_size) {
  if (page_size < 0) return InvalidField("page_size", absl::StrCat("must not be negative, got ", page_size));
  return page_size == 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize);
}

std::string EncodePageToken(std::string_view last_key) { return absl::BytesToHexString(AbslView(last_key)); }

absl::StatusOr<std::string> DecodePageToken(std::string_view page_token) {
  if (page_token.size() % 2 != 0 || !IsLowerHex(page_token))
    return InvalidField("page_token", "is not one that this catalogue gave out");
  return absl::HexStringToBytes(AbslView(page_token));
}

}  // namespace cacheclip
