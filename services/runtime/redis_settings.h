// Which settings hold for which Redis. redis_* are those of redis_url, catalog_* those of catalog_url and of
// a job queue that has a server of its own; a queue on a server of redis_url is talked to as redis_url is,
// with a database, and if it says so a password, of its own. A rediss:// catalogue or queue without
// catalog_tls_ca trusts redis_tls_ca. redis_timeout_seconds holds for all of them. Errors name the setting.
// Functions; thread-safe; none talks to a server.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/redis/redis_options.h"
#include "services/runtime/config.h"

namespace cacheclip {

absl::StatusOr<RedisClientOptions> ChunkRedisOptions(const Config& config);    // redis_url must be set
absl::StatusOr<RedisClientOptions> CatalogRedisOptions(const Config& config);  // catalog_url must be set
absl::StatusOr<RedisClientOptions> QueueRedisOptions(const Config& config, const std::string& queue_url);

// Whose other settings hold for a queue: "redis_url" or "catalog_url".
std::string QueueSettingsOwner(const Config& config, const std::string& queue_url);

// An error of MakeRedisClient() under the setting it comes from: `url_setting` is "redis_url", "catalog_url"
// or "queue_url", `owner` the one of the first two whose TLS files were used.
absl::Status NameRedisSetting(const absl::Status& status, const std::string& url_setting,
                              const std::string& owner);

// Whether the clients that are set can be made; reads the password files.
absl::Status ValidateRedisSettings(const Config& config);

}  // namespace cacheclip
