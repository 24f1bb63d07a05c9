#include "services/runtime/stores.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/catalog/redis/redis_catalog.h"
#include "common/catalog/sqlite_catalog.h"
#include "common/store/disk_chunk_store.h"
#include "common/store/memory_chunk_store.h"
#include "common/store/object/object_chunk_store.h"
#include "common/store/object/object_location.h"
#include "common/store/redis/redis_chunk_store.h"
#include "services/runtime/paths.h"
#include "services/runtime/redis_settings.h"

namespace cacheclip {
namespace {

// The error under the setting's name, unless it names one itself.
absl::Status NameField(const absl::Status& status, std::string_view field) {
  if (status.ok() || !FieldOf(status).empty()) return status;
  return FieldError(status.code(), field, StdView(status.message()));
}

WriteMode WriteModeOf(const std::string& name) {
  if (name == "back") return WriteMode::kBack;
  return name == "none" ? WriteMode::kNone : WriteMode::kThrough;
}

// `owner`: see NameRedisSetting().
absl::StatusOr<std::unique_ptr<RedisClient>> Connect(const absl::StatusOr<RedisClientOptions>& options,
                                                     const std::string& url_setting,
                                                     const std::string& owner) {
  if (!options.ok()) return options.status();
  auto client = MakeRedisClient(*options);
  if (!client.ok()) return NameRedisSetting(client.status(), url_setting, owner);
  return client;
}

absl::StatusOr<std::unique_ptr<RedisClient>> ConnectChunks(const Config& config) {
  return Connect(ChunkRedisOptions(config), "redis_url", "redis_url");
}

absl::StatusOr<std::unique_ptr<RedisClient>> ConnectCatalog(const Config& config) {
  return Connect(CatalogRedisOptions(config), "catalog_url", "catalog_url");
}

absl::StatusOr<std::shared_ptr<ChunkStore>> OpenRedisTier(const Config& config) {
  CACHECLIP_ASSIGN_OR_RETURN(std::shared_ptr<RedisClient> client, ConnectChunks(config));
  auto store = RedisChunkStore::Make(std::move(client), {.ttl = absl::Seconds(config.redis_ttl_seconds)});
  if (!store.ok()) return NameField(store.status(), "redis_url");
  return std::shared_ptr<ChunkStore>(*std::move(store));
}

absl::StatusOr<std::shared_ptr<ChunkStore>> OpenObjectTier(const Config& config) {
  CACHECLIP_ASSIGN_OR_RETURN(auto client, OpenObjectClient(config));
  ObjectChunkStoreOptions options;
  if (config.object_bytes > 0) options.max_bytes = config.object_bytes;
  auto store = ObjectChunkStore::Create(std::move(client), options);
  if (!store.ok()) return NameField(store.status(), "object_url");
  return std::shared_ptr<ChunkStore>(*std::move(store));
}

// Evicting begins with a list of every chunk, within the deadline of the put that is first: too much to ask
// of a bucket, which has rules of its own for that.
absl::Status ValidateObjectSettings(const Config& config) {
  if (config.object_url.empty()) return absl::OkStatus();
  CACHECLIP_ASSIGN_OR_RETURN(const ObjectLocation location, ParseObjectUrl(config.object_url));
  if (config.object_bytes > 0 && location.kind == ObjectLocation::Kind::kS3)
    return InvalidField("object_bytes",
                        "bounds a file:// object_url only: for s3://, use the bucket's lifecycle rules");
  return absl::OkStatus();
}

bool HasRemoteTier(const Config& config) { return !config.redis_url.empty() || !config.object_url.empty(); }

}  // namespace

ObjectClientSettings S3SettingsOf(const Config& config) {
  return {.s3_endpoint = config.s3_endpoint,
          .s3_region = config.s3_region,
          .s3_path_style = config.s3_path_style,
          .s3_tls_ca = config.s3_tls_ca,
          .s3_credentials_file = config.s3_credentials_file,
          .s3_profile = config.s3_profile};
}

absl::StatusOr<std::unique_ptr<ObjectClient>> OpenObjectClient(const Config& config) {
  ObjectClientSettings settings = S3SettingsOf(config);
  settings.object_url = config.object_url;
  return MakeObjectClient(settings);
}

absl::StatusOr<std::vector<StoreTier>> OpenTiers(const Config& config) {
  const GroupQuotas quotas{.max_bytes = {config.namespace_quotas.begin(), config.namespace_quotas.end()}};
  std::vector<StoreTier> tiers;
  if (config.memory_bytes > 0) {
    tiers.push_back({std::make_shared<MemoryChunkStore>(
                         MemoryChunkStoreOptions{.max_bytes = config.memory_bytes, .quotas = quotas}),
                     Tier::kMemory});
  }
  if (config.disk_bytes > 0) {
    auto disk = DiskChunkStore::Open(
        {.folder = ChunksFolder(DataFolder(config)), .max_bytes = config.disk_bytes, .quotas = quotas});
    if (!disk.ok()) return NameField(disk.status(), "data_dir");
    tiers.push_back({*std::move(disk), Tier::kDisk});
  }
  CACHECLIP_ASSIGN_OR_RETURN(std::vector<StoreTier> remote, OpenRemoteTiers(config));
  std::move(remote.begin(), remote.end(), std::back_inserter(tiers));
  return tiers;
}

absl::StatusOr<std::vector<StoreTier>> OpenRemoteTiers(const Config& config) {
  std::vector<StoreTier> tiers;
  if (!config.redis_url.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(auto redis, OpenRedisTier(config));
    tiers.push_back({std::move(redis), Tier::kRedis, /*is_remote=*/true});
  }
  if (!config.object_url.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(auto objects, OpenObjectTier(config));
    tiers.push_back({std::move(objects), Tier::kObject, /*is_remote=*/true});
  }
  return tiers;
}

absl::StatusOr<std::unique_ptr<TieredChunkStore>> OpenChunkStore(const Config& config) {
  CACHECLIP_ASSIGN_OR_RETURN(std::vector<StoreTier> tiers, OpenTiers(config));
  TieredChunkStoreOptions options;
  if (HasRemoteTier(config)) options.write_mode = WriteModeOf(config.write_mode);
  options.write_back.folder = WriteBackFolder(DataFolder(config));
  options.write_back.max_bytes = config.write_back_bytes;
  options.remote_timeout = absl::Seconds(config.load_timeout_seconds);
  auto store = TieredChunkStore::Open(std::move(tiers), options);
  if (!store.ok()) return NameField(store.status(), "data_dir");
  return store;
}

absl::StatusOr<std::unique_ptr<Catalog>> OpenCatalog(const Config& config, CatalogAccess access) {
  const bool is_read_only = access == CatalogAccess::kReadOnly;
  if (config.catalog_url.empty()) {
    SqliteCatalogOptions options{.path = CatalogFile(DataFolder(config))};
    if (is_read_only) return SqliteCatalog::OpenReadOnly(std::move(options));
    auto catalog = SqliteCatalog::Open(std::move(options));
    if (!catalog.ok()) return NameField(catalog.status(), "data_dir");
    return std::unique_ptr<Catalog>(*std::move(catalog));
  }
  CACHECLIP_ASSIGN_OR_RETURN(std::shared_ptr<RedisClient> client, ConnectCatalog(config));
  if (is_read_only) return RedisCatalog::OpenReadOnly({.client = std::move(client)});
  auto catalog = RedisCatalog::Open({.client = std::move(client)});
  if (!catalog.ok()) return NameField(catalog.status(), "catalog_url");
  return std::unique_ptr<Catalog>(*std::move(catalog));
}

absl::StatusOr<std::unique_ptr<RedisClient>> ConnectQueue(const Config& config, const std::string& url) {
  if (!url.empty())
    return Connect(QueueRedisOptions(config, url), "queue_url", QueueSettingsOwner(config, url));
  if (!config.catalog_url.empty()) return ConnectCatalog(config);
  if (!config.redis_url.empty()) return ConnectChunks(config);
  return InvalidField("queue_url", "a job needs a Redis: set queue_url, catalog_url or redis_url");
}

void FlushWriteBack(WriteBackQueue* queue, const std::string& program, absl::Duration limit) {
  const int64_t num_queued = queue == nullptr ? 0 : queue->stats().queued_chunks;
  if (num_queued == 0) return;
  CACHECLIP_LOG(Info) << program << ": " << num_queued
                      << " chunks are queued for remote tiers, writing them for at most "
                      << absl::FormatDuration(limit);
  if (queue->WaitUntilEmpty(limit)) return;
  CACHECLIP_LOG(Warning) << program << ": " << queue->stats().queued_chunks
                         << " chunks are still queued for remote tiers; "
                         << "the next process with this data folder writes them";
}

absl::Status ValidateStoreSettings(const Config& config) {
  CACHECLIP_RETURN_IF_ERROR(ValidateRedisSettings(config));
  CACHECLIP_RETURN_IF_ERROR(ValidateObjectSettings(config));
  if (config.memory_bytes == 0 && config.disk_bytes == 0 && !HasRemoteTier(config))
    return InvalidField("disk_bytes",
                        "there must be a tier: memory_bytes, disk_bytes, redis_url or object_url");
  if (config.write_mode != "through" && !HasRemoteTier(config))
    return InvalidField("write_mode", "needs redis_url or object_url");
  if (config.write_mode == "back" && config.disk_bytes == 0)
    return InvalidField(
        "write_mode",
        "back needs disk_bytes: queued chunks wait there across a restart; set it, or write through");
  return absl::OkStatus();
}

}  // namespace cacheclip
