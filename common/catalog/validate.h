// The rules every catalogue applies to what comes in, so that twins refuse the same things with the same
// words: limits of records.h, spelling of names and ids, pages. Errors name the field. Pure functions,
// thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/catalog/records.h"

namespace cacheclip {

absl::Status ValidateNamespaceName(std::string_view name);  // field "namespace"
absl::Status ValidateDocumentId(std::string_view document_id);
absl::Status ValidateChunkId(std::string_view chunk_id);
absl::Status ValidatePrefix(const Prefix& prefix);
// Also that every referenced chunk has a record, of the same namespace and prefix.
absl::Status ValidateDocument(const Document& document, std::span<const ChunkRecord> chunks);
absl::Status ValidateLookup(std::span<const std::string> chunk_ids);
absl::Status ValidatePinOwner(std::string_view owner);
absl::Status ValidateTrimFilter(const TrimFilter& filter);

// 0 becomes kDefaultPageSize, more than kMaxPageSize becomes that; negative is refused.
absl::StatusOr<int> EffectivePageSize(int page_size);

// A page token is the last key of the page before, in hex: opaque to callers and harmless in any transport.
std::string EncodePageToken(std::string_view last_key);
absl::StatusOr<std::string> DecodePageToken(std::string_view page_token);

// NOT_FOUND naming the field: what every catalogue answers for something it does not hold.
absl::Status NoSuchRecord(std::string_view field, std::string_view value);

bool IsValidUtf8(std::string_view text);

}  // namespace cacheclip
