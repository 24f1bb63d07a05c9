#include "services/runtime/redis_settings.h"

#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr char kRedisUrl[] = "redis_url", kCatalogUrl[] = "catalog_url", kQueueUrl[] = "queue_url";

ClusterMode ClusterModeOf(const std::string& name) {
  if (name == "yes") return ClusterMode::kYes;
  return name == "no" ? ClusterMode::kNo : ClusterMode::kAuto;
}

// "redis" or "catalog": what the other settings of that URL begin with.
std::string PrefixOf(const std::string& owner) { return owner == kRedisUrl ? "redis" : "catalog"; }

// What tells servers apart, whatever the order, the database and who asks.
struct Servers {
  std::set<RedisEndpoint> endpoints;
  bool tls = false;
  friend bool operator==(const Servers&, const Servers&) = default;
};

Servers ServersOf(const RedisClientOptions& options) {
  Servers servers{.tls = options.tls.enabled};
  for (const RedisEndpoint& endpoint : options.endpoints)
    servers.endpoints.insert({absl::AsciiStrToLower(endpoint.host), endpoint.port});
  return servers;
}

bool IsSameServer(const RedisClientOptions& queue, const std::string& url) {
  const auto other = ParseRedisUrl(url);
  return other.ok() && ServersOf(*other) == ServersOf(queue);
}

// "" where neither is the queue's server. One that is written just like the queue comes first.
std::string OwnerOfServer(const Config& config, const std::string& queue_url,
                          const RedisClientOptions& queue) {
  if (queue_url == config.redis_url) return kRedisUrl;
  if (queue_url == config.catalog_url) return kCatalogUrl;
  if (IsSameServer(queue, config.redis_url)) return kRedisUrl;
  return IsSameServer(queue, config.catalog_url) ? kCatalogUrl : "";
}

// Files that nobody would look at are a mistake: the URL was meant to be rediss://.
absl::Status CheckTlsFiles(const RedisClientOptions& options, const std::string& url_setting) {
  const std::string prefix = PrefixOf(url_setting);
  const RedisTlsOptions& tls = options.tls;
  if (tls.certificate_file.empty() != tls.key_file.empty())
    return InvalidField(absl::StrCat(prefix, tls.key_file.empty() ? "_tls_key" : "_tls_certificate"),
                        absl::StrCat(prefix, "_tls_certificate and ", prefix, "_tls_key go together"));
  if (tls.enabled || (tls.ca_file.empty() && tls.certificate_file.empty())) return absl::OkStatus();
  return InvalidField(absl::StrCat(prefix, tls.ca_file.empty() ? "_tls_certificate" : "_tls_ca"),
                      absl::StrCat("needs a ", url_setting, " that begins with rediss://"));
}

absl::StatusOr<RedisClientOptions> Checked(RedisClientOptions options, const std::string& url_setting) {
  CACHECLIP_RETURN_IF_ERROR(CheckTlsFiles(options, url_setting));
  CACHECLIP_RETURN_IF_ERROR(NameRedisSetting(ValidateRedisOptions(options), url_setting, url_setting));
  return options;
}

// All but the password file and the certificates.
absl::StatusOr<RedisClientOptions> ParseCatalogLike(const Config& config, const std::string& url,
                                                    const std::string& url_setting) {
  CACHECLIP_ASSIGN_OR_RETURN(RedisClientOptions options, ParseRedisUrl(url, url_setting));
  options.cluster_mode = ClusterModeOf(config.catalog_cluster);
  options.timeout = absl::Seconds(config.redis_timeout_seconds);
  return options;
}

void UseCatalogTls(const Config& config, RedisTlsOptions& tls) {
  tls.ca_file = config.catalog_tls_ca;
  if (tls.enabled && tls.ca_file.empty()) tls.ca_file = config.redis_tls_ca;
  tls.certificate_file = config.catalog_tls_certificate;
  tls.key_file = config.catalog_tls_key;
}

}  // namespace

absl::StatusOr<RedisClientOptions> ChunkRedisOptions(const Config& config) {
  CACHECLIP_ASSIGN_OR_RETURN(RedisClientOptions options, ParseRedisUrl(config.redis_url, kRedisUrl));
  if (!config.redis_password_file.empty())
    CACHECLIP_RETURN_IF_ERROR(ReadRedisPassword(config.redis_password_file, "redis_password_file", options));
  options.cluster_mode = ClusterModeOf(config.redis_cluster);
  options.tls.ca_file = config.redis_tls_ca;
  options.tls.certificate_file = config.redis_tls_certificate;
  options.tls.key_file = config.redis_tls_key;
  options.connections_per_node = static_cast<int>(config.redis_connections);
  options.timeout = absl::Seconds(config.redis_timeout_seconds);
  return Checked(std::move(options), kRedisUrl);
}

absl::StatusOr<RedisClientOptions> CatalogRedisOptions(const Config& config) {
  CACHECLIP_ASSIGN_OR_RETURN(RedisClientOptions options,
                             ParseCatalogLike(config, config.catalog_url, kCatalogUrl));
  if (!config.catalog_password_file.empty())
    CACHECLIP_RETURN_IF_ERROR(
        ReadRedisPassword(config.catalog_password_file, "catalog_password_file", options));
  UseCatalogTls(config, options.tls);
  return Checked(std::move(options), kCatalogUrl);
}

absl::StatusOr<RedisClientOptions> QueueRedisOptions(const Config& config, const std::string& queue_url) {
  CACHECLIP_ASSIGN_OR_RETURN(RedisClientOptions options, ParseCatalogLike(config, queue_url, kQueueUrl));
  const std::string owner = OwnerOfServer(config, queue_url, options);
  if (!owner.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(RedisClientOptions owned,
                               owner == kRedisUrl ? ChunkRedisOptions(config) : CatalogRedisOptions(config));
    owned.database = options.database;
    if (queue_url != config.redis_url && queue_url != config.catalog_url && !options.password.empty()) {
      owned.user = options.user;
      owned.password = options.password;
    }
    return Checked(std::move(owned), kQueueUrl);
  }
  // What the URL says itself wins: the catalogue's settings may be meant for another server.
  if (options.password.empty() && !config.catalog_password_file.empty())
    CACHECLIP_RETURN_IF_ERROR(
        ReadRedisPassword(config.catalog_password_file, "catalog_password_file", options));
  if (options.tls.enabled) UseCatalogTls(config, options.tls);
  return Checked(std::move(options), kQueueUrl);
}

std::string QueueSettingsOwner(const Config& config, const std::string& queue_url) {
  const auto options = ParseRedisUrl(queue_url);
  const std::string owner = options.ok() ? OwnerOfServer(config, queue_url, *options) : "";
  return owner.empty() ? kCatalogUrl : owner;
}

absl::Status NameRedisSetting(const absl::Status& status, const std::string& url_setting,
                              const std::string& owner) {
  const std::string option = FieldOf(status);
  if (status.ok() || option == url_setting) return status;
  std::string_view problem = StdView(status.message());
  if (!option.empty() && problem.starts_with(option + ": ")) problem.remove_prefix(option.size() + 2);
  const std::string prefix = PrefixOf(owner);
  for (const char* file : {"ca", "certificate", "key"})
    if (option == absl::StrCat("tls.", file, "_file"))
      return FieldError(status.code(), absl::StrCat(prefix, "_tls_", file), problem);
  return FieldError(status.code(), url_setting, problem);
}

absl::Status ValidateRedisSettings(const Config& config) {
  if (!config.redis_url.empty()) CACHECLIP_RETURN_IF_ERROR(ChunkRedisOptions(config).status());
  if (!config.catalog_url.empty()) CACHECLIP_RETURN_IF_ERROR(CatalogRedisOptions(config).status());
  RedisClientOptions pairs;  // also where there is no URL
  pairs.tls = {true, "", config.redis_tls_certificate, config.redis_tls_key};
  CACHECLIP_RETURN_IF_ERROR(CheckTlsFiles(pairs, kRedisUrl));
  pairs.tls = {true, "", config.catalog_tls_certificate, config.catalog_tls_key};
  return CheckTlsFiles(pairs, kCatalogUrl);
}

}  // namespace cacheclip
