// Taking documents away on Redis, in three bounded steps. DropDocument() hides the document and marks its
// revision dead, in one script. CleanUpRevision() drops a dead revision's references, batch by batch; chunks
// left without any become orphans. ReleaseChunks() gives up the namespace's hold on orphans, each in the
// chunk's own slot, and reports those that no namespace holds. Each step may be done by several at once and
// taken up by anybody after a crash: what is dead or orphaned stays recorded until it is done, so a chunk is
// reported at least once, and never while a document of any namespace uses it.
// Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/catalog/redis/catalog_server.h"

namespace cacheclip {

// Conditions of DropDocument(); any other is the revision that the document must have.
inline constexpr std::string_view kIfLiving = "living";
inline constexpr std::string_view kIfExpired = "expired";

// The revision that is dead now, or nothing when there is no such document or the condition does not hold.
absl::StatusOr<std::optional<std::string>> DropDocument(const CatalogServer& server,
                                                        std::string_view namespace_name,
                                                        std::string_view document_id,
                                                        std::string_view condition);

// Adds what is released to `released`.
absl::Status CleanUpRevision(const CatalogServer& server, std::string_view namespace_name,
                             const std::string& revision, std::set<std::string>& released);

// Gives up a revision that was staged before `limit` and cleans it up; false if it is not staged any more or
// newer. The latest time that can be encoded means: however new.
absl::StatusOr<bool> AbandonRevision(const CatalogServer& server, std::string_view namespace_name,
                                     const std::string& revision, absl::Time limit,
                                     std::set<std::string>& released);

// `chunk_ids` were orphans when the namespace's sequence was `sequence`.
absl::Status ReleaseChunks(const CatalogServer& server, std::string_view namespace_name, int64_t sequence,
                           std::span<const std::string> chunk_ids, std::set<std::string>& released);

}  // namespace cacheclip
