// Pins of chunks in an object tier, kept beside the chunks so that every process sees them: one small object
// per chunk and owner whose text is the expiry (RFC 3339, UTC). An expired or unreadable pin counts for
// nothing and is removed when it is met. At most kMaxPinsPerChunk; processes that pin the same chunk at the
// same moment may exceed that by as many. Thread-safe.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/kv/chunk_key.h"
#include "common/store/object/object_client.h"

namespace cacheclip {

class ObjectPins {
 public:
  ObjectPins(ObjectClient* client, Clock* clock) : client_(*client), clock_(*clock) {}  // both outlive it

  // Owner and expiry were validated. RESOURCE_EXHAUSTED: too many owners.
  absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry,
                   const CancellationToken& token);
  absl::Status Unpin(const ChunkKey& key, std::string_view owner, const CancellationToken& token);
  absl::StatusOr<bool> IsPinned(const ChunkKey& key, const CancellationToken& token);
  absl::Status RemoveAll(const ChunkKey& key, const CancellationToken& token);

 private:
  absl::StatusOr<ObjectPage> ListPins(const ChunkKey& key, const CancellationToken& token);
  absl::StatusOr<bool> HoldsStill(const std::string& name, const CancellationToken& token);

  ObjectClient& client_;
  Clock& clock_;
};

}  // namespace cacheclip
