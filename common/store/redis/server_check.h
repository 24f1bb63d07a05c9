// Looks at a Redis server before chunks are kept on it. The catalogue must never be evicted, chunks should
// be: a server that may evict any key and also holds the catalogue is refused, settings that will disappoint
// are reported. Functions; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/redis/redis_client.h"

namespace cacheclip {

// Warnings for the log, one sentence each. `catalog` is null when the catalogue is not on Redis; it may be
// the same client. FAILED_PRECONDITION: the policy is allkeys-* and the catalogue is on the same server.
// UNAVAILABLE and the like when the server cannot be asked.
absl::StatusOr<std::vector<std::string>> CheckKvServer(RedisClient& chunks, RedisClient* catalog);

}  // namespace cacheclip
