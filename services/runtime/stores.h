// Where chunks and the catalogue are kept, opened from one Config: memory over disk, then Redis and the
// object tier where they are configured; SQLite in the data folder, or Redis. For servers, preloading and the
// tools that look after what is stored. Thread-safe after opening.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/catalog/catalog.h"
#include "common/redis/redis_client.h"
#include "common/store/object/object_client.h"
#include "common/store/object/object_client_factory.h"
#include "common/store/tiered_chunk_store.h"
#include "common/store/write_back_queue.h"
#include "services/runtime/config.h"

namespace cacheclip {

enum class CatalogAccess { kReadWrite, kReadOnly };

// The tiers that `config` names, fastest first. Remote ones need not be reachable: requests go on without
// them. Errors name the setting.
absl::StatusOr<std::vector<StoreTier>> OpenTiers(const Config& config);

// Those of them that are shared over a network: for tools on a machine that keeps nothing itself.
absl::StatusOr<std::vector<StoreTier>> OpenRemoteTiers(const Config& config);

// The tiers as one store.
absl::StatusOr<std::unique_ptr<TieredChunkStore>> OpenChunkStore(const Config& config);

// Read-only catalogues need not exist or be reachable yet: calls answer UNAVAILABLE until they are. Errors
// name the setting.
absl::StatusOr<std::unique_ptr<Catalog>> OpenCatalog(const Config& config, CatalogAccess access);

// A client of `url`; empty: catalog_url, else redis_url. It is talked to by the settings that
// redis_settings.h says. INVALID_ARGUMENT naming "queue_url" if all are empty.
absl::StatusOr<std::unique_ptr<RedisClient>> ConnectQueue(const Config& config, const std::string& url);

// Before a program ends: waits until what is queued for remote tiers is written, for at most `limit`, and
// logs it. What does not fit stays in the queue's folder. Null: nothing.
void FlushWriteBack(WriteBackQueue* queue, const std::string& program, absl::Duration limit);

// For other places than object_url, with the same endpoint and credentials.
ObjectClientSettings S3SettingsOf(const Config& config);

// The place that object_url names.
absl::StatusOr<std::unique_ptr<ObjectClient>> OpenObjectClient(const Config& config);

// The part of ValidateConfig() about stores; reads the files it names.
absl::Status ValidateStoreSettings(const Config& config);

}  // namespace cacheclip
