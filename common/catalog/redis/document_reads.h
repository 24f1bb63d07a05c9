// Reading documents and chunks on Redis. A document's record and its list of chunks lie under two keys; the
// list belongs to the revision that the record names, so a reader that finds it cut short by a writer reads
// the record again and never mixes versions. Expired documents are as good as absent. Thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/catalog/records.h"
#include "common/catalog/redis/catalog_server.h"
#include "common/catalog/redis/record_codec.h"

namespace cacheclip {

inline constexpr int kMaxReadAttempts = 16;  // of a document that is replaced all the time

// The records without their lists of chunks, expired ones too; nothing where there is no such document.
absl::StatusOr<std::vector<std::optional<StoredDocument>>> ReadRecords(
    const CatalogServer& server, std::string_view namespace_name, std::span<const std::string> document_ids);

absl::StatusOr<std::optional<Document>> FindDocument(const CatalogServer& server,
                                                     std::string_view namespace_name,
                                                     std::string_view document_id);

// At most `limit` ids above `after`, in order, of documents that may have expired.
absl::StatusOr<std::vector<std::string>> ReadDocumentIds(const CatalogServer& server,
                                                         std::string_view namespace_name,
                                                         std::string_view after, int limit);

// At most `limit` living documents with ids above `after`.
absl::StatusOr<std::vector<Document>> ScanDocuments(const CatalogServer& server,
                                                    std::string_view namespace_name, std::string_view after,
                                                    int limit);

// One script call for all ids.
absl::StatusOr<std::vector<std::optional<ChunkRecord>>> FindChunks(const CatalogServer& server,
                                                                   std::string_view namespace_name,
                                                                   std::span<const std::string> chunk_ids);

}  // namespace cacheclip
