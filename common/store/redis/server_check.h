// Looks at Redis servers before chunks are kept on them. The catalogue must never be evicted, chunks should
// be: a server that may evict any key and also holds the catalogue is refused, settings that will disappoint
// are reported. Chunks and catalogue are asked apart, since either may be away. Functions; thread-safe.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/redis/redis_client.h"

namespace cacheclip {

struct RedisServerFacts {
  std::string run_id;
  std::string policy;  // "" when the server does not say
  bool has_limit = false;
};

// One per primary. UNAVAILABLE and the like when a server cannot be asked; PERMISSION_DENIED where the user
// may not ask INFO, which neither chunks nor the catalogue need.
absl::StatusOr<std::vector<RedisServerFacts>> AskRedisServers(RedisClient& client, absl::Time deadline);

// Warnings for the log, one sentence each: what chunks will be disappointed by.
std::vector<std::string> ChunkWarnings(std::span<const RedisServerFacts> chunk_servers);

// Whether a server holds both; a warning then. FAILED_PRECONDITION: its policy is allkeys-*.
absl::StatusOr<std::vector<std::string>> CheckSharing(std::span<const RedisServerFacts> chunk_servers,
                                                      std::span<const RedisServerFacts> catalog_servers);

}  // namespace cacheclip
