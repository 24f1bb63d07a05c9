// The values that the catalogue keeps on Redis, as bytes: what C++ writes and scripts only compare or cut at
// fixed places. Times and revisions are 16 lower-case hex digits whose byte order is their order. A
// document's record begins with five such fields that scripts read; all else is opaque to them. Values that
// do not decode are DATA_LOSS. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/catalog/records.h"

namespace cacheclip {

inline constexpr size_t kTimeDigits = 16;
inline constexpr size_t kRevisionDigits = 16;
inline constexpr size_t kCountDigits = 8;
// revision, expiry, created, updated, number of uses.
inline constexpr size_t kDocumentHeadDigits = kRevisionDigits + 3 * kTimeDigits + kCountDigits;

std::string EncodeTime(absl::Time time);  // microseconds; infinities become the ends
absl::StatusOr<absl::Time> DecodeTime(std::string_view digits);
// The first moment that a catalogue tells from `time`.
absl::Time NextMoment(absl::Time time);

std::string EncodeCount(size_t count);  // kCountDigits digits

// A version of a document as stored: what the scripts know of it, and the document without its chunks.
struct StoredDocument {
  std::string revision;
  size_t num_uses = 0;
  Document document;
};

std::string PackDocumentBody(const Document& document);  // what follows the head
absl::StatusOr<StoredDocument> UnpackDocument(std::string_view namespace_name, std::string_view document_id,
                                              std::string_view record);

std::string PackUses(std::span<const ChunkReference> uses);
absl::Status UnpackUses(std::string_view batch, std::vector<ChunkReference>& uses);  // appends

std::string PackChunk(const ChunkRecord& chunk);
absl::StatusOr<ChunkRecord> UnpackChunk(std::string_view namespace_name, std::string_view chunk_id,
                                        std::string_view record);

std::string PackPrefix(const Prefix& prefix);  // without is_default, which info holds
absl::StatusOr<Prefix> UnpackPrefix(std::string_view namespace_name, std::string_view prefix_id,
                                    std::string_view record);

}  // namespace cacheclip
