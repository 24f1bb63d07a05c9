#include "services/runtime/redis_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "common/base/status.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

// A cluster with a private authority for KV, a plain server for the catalogue.
Config ClusterBesidePlainCatalog() {
  Config config;
  config.redis_url = "rediss://kv-0:6379,kv-1:6379";
  config.redis_cluster = "yes";
  config.redis_tls_ca = "kv-ca.pem";
  config.redis_tls_certificate = "kv.pem";
  config.redis_tls_key = "kv-key.pem";
  config.redis_connections = 3;
  config.catalog_url = "redis://catalog:6379";
  return config;
}

TEST(RedisSettings, ThoseOfRedisUrlLeaveTheCatalogueAlone) {
  const Config config = ClusterBesidePlainCatalog();
  ASSERT_TRUE(ValidateRedisSettings(config).ok()) << ValidateRedisSettings(config);
  const auto chunks = ChunkRedisOptions(config), catalog = CatalogRedisOptions(config);
  EXPECT_EQ(chunks->cluster_mode, ClusterMode::kYes);
  EXPECT_EQ(chunks->tls.ca_file, "kv-ca.pem");
  EXPECT_EQ(chunks->connections_per_node, 3);
  EXPECT_EQ(catalog->cluster_mode, ClusterMode::kAuto);
  EXPECT_FALSE(catalog->tls.enabled);
  EXPECT_EQ(catalog->tls.ca_file, "");
  EXPECT_EQ(catalog->tls.certificate_file, "");
  EXPECT_EQ(catalog->connections_per_node, RedisClientOptions().connections_per_node);
}

TEST(RedisSettings, TheCatalogueHasItsOwnAndFallsBackOnTheAuthority) {
  Config config = ClusterBesidePlainCatalog();
  config.catalog_url = "rediss://catalog:6379";
  config.catalog_cluster = "no";
  EXPECT_EQ(CatalogRedisOptions(config)->tls.ca_file, "kv-ca.pem");
  EXPECT_EQ(CatalogRedisOptions(config)->tls.certificate_file, "") << "a certificate is whom it was given to";
  config.catalog_tls_ca = "catalog-ca.pem";
  config.catalog_tls_certificate = "catalog.pem";
  config.catalog_tls_key = "catalog-key.pem";
  const auto catalog = CatalogRedisOptions(config);
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  EXPECT_EQ(catalog->cluster_mode, ClusterMode::kNo);
  EXPECT_EQ(catalog->tls.ca_file, "catalog-ca.pem");
  EXPECT_EQ(catalog->tls.certificate_file, "catalog.pem");
  EXPECT_EQ(catalog->tls.key_file, "catalog-key.pem");
  EXPECT_EQ(ChunkRedisOptions(config)->tls.ca_file, "kv-ca.pem");
}

TEST(RedisSettings, AQueueIsTalkedToAsItsServerOrAsTheCatalogue) {
  Config config = ClusterBesidePlainCatalog();
  config.catalog_cluster = "no";
  EXPECT_EQ(QueueRedisOptions(config, config.redis_url)->cluster_mode, ClusterMode::kYes);
  EXPECT_EQ(QueueRedisOptions(config, config.catalog_url)->cluster_mode, ClusterMode::kNo);
  EXPECT_EQ(QueueRedisOptions(config, "redis://elsewhere")->cluster_mode, ClusterMode::kNo);
  EXPECT_EQ(QueueRedisOptions(config, "rediss://elsewhere")->tls.ca_file, "kv-ca.pem");
  config.catalog_url = "rediss://catalog";
  config.catalog_tls_ca = "catalog-ca.pem";
  EXPECT_EQ(QueueRedisOptions(config, "rediss://elsewhere")->tls.ca_file, "catalog-ca.pem");
  EXPECT_TRUE(QueueRedisOptions(config, "redis://plain").ok()) << "the files are the catalogue's";
  EXPECT_EQ(FieldOf(QueueRedisOptions(config, "http://elsewhere").status()), "queue_url");
}

TEST(RedisSettings, AQueueIsRecognisedByItsServersNotByItsSpelling) {
  TempFolder folder;
  Config config = ClusterBesidePlainCatalog();
  config.catalog_password_file = folder.path() + "/catalog-password";
  std::ofstream(config.catalog_password_file) << "thyme\n";
  EXPECT_EQ(QueueRedisOptions(config, "rediss://kv-1,KV-0")->tls.certificate_file, "kv.pem");
  EXPECT_EQ(QueueRedisOptions(config, "rediss://kv-0")->tls.certificate_file, "") << "only one of them";
  EXPECT_EQ(QueueRedisOptions(config, "rediss://kv-0,kv-1:6380")->tls.certificate_file, "");
  EXPECT_EQ(QueueRedisOptions(config, "redis://kv-0,kv-1")->password, "thyme") << "another, without TLS";
  EXPECT_EQ(QueueSettingsOwner(config, "rediss://kv-1,kv-0"), "redis_url");
  EXPECT_EQ(QueueSettingsOwner(config, "redis://catalog/2"), "catalog_url");
  EXPECT_EQ(QueueSettingsOwner(config, "redis://elsewhere"), "catalog_url");
  EXPECT_EQ(FieldOf(QueueRedisOptions(config, "rediss://kv-0,kv-1/3").status()), "queue_url")
      << "a cluster has one database, and it is the queue's that is wrong";
}

TEST(RedisSettings, AnotherDatabaseOfRedisUrlIsReachedWithItsPassword) {
  TempFolder folder;
  Config config;
  config.redis_url = "redis://host/0";
  config.redis_password_file = folder.path() + "/password";
  std::ofstream(config.redis_password_file) << "pepper\n";
  const auto queue = QueueRedisOptions(config, "redis://host:6379/1");
  ASSERT_TRUE(queue.ok()) << queue.status();
  EXPECT_EQ(queue->password, "pepper");
  EXPECT_EQ(queue->database, 1);
  const auto own = QueueRedisOptions(config, "redis://anna:paprika@host/1");
  EXPECT_EQ(own->user, "anna");
  EXPECT_EQ(own->password, "paprika");
}

TEST(RedisSettings, APasswordInTheQueuesUrlBeatsTheCataloguesFile) {
  TempFolder folder;
  Config config;
  config.catalog_password_file = folder.path() + "/password";
  std::ofstream(config.catalog_password_file) << "pepper\n";
  EXPECT_EQ(QueueRedisOptions(config, "redis://elsewhere")->password, "pepper");
  EXPECT_EQ(QueueRedisOptions(config, "redis://paprika@elsewhere")->password, "paprika");
}

TEST(RedisSettings, FilesForAServerWithoutTlsAreRefusedByTheirSetting) {
  const auto refused = [](const std::string& url_setting, const std::string& file_setting) {
    Config config;
    config.redis_url = config.catalog_url = "rediss://host";
    for (const Setting& setting : AllSettings()) {
      const auto* member = std::get_if<std::string Config::*>(&setting.member);
      if (member == nullptr) continue;
      if (setting.name == url_setting) config.** member = "redis://host";
      if (std::string(setting.name).starts_with(file_setting)) config.** member = "file.pem";
    }
    const absl::Status status = ValidateRedisSettings(config);
    EXPECT_THAT(std::string(status.message()), HasSubstr(url_setting + " that begins with rediss://"));
    return FieldOf(status);
  };
  EXPECT_EQ(refused("redis_url", "redis_tls_ca"), "redis_tls_ca");
  EXPECT_EQ(refused("redis_url", "redis_tls_"), "redis_tls_ca");
  EXPECT_EQ(refused("catalog_url", "catalog_tls_ca"), "catalog_tls_ca");
  Config config;
  config.redis_url = "redis://host";
  config.redis_tls_certificate = config.redis_tls_key = "file.pem";
  EXPECT_EQ(FieldOf(ValidateRedisSettings(config)), "redis_tls_certificate");
}

TEST(RedisSettings, ACertificateNeedsItsKey) {
  Config config;
  config.catalog_tls_certificate = "file.pem";
  EXPECT_EQ(FieldOf(ValidateRedisSettings(config)), "catalog_tls_key");
  config.redis_tls_key = "file.pem";
  EXPECT_EQ(FieldOf(ValidateRedisSettings(config)), "redis_tls_certificate");
}

TEST(RedisSettings, ErrorsOfAClientNameASetting) {
  Config config;
  config.redis_url = "redis://host/3";
  config.redis_cluster = "yes";
  const absl::Status status = ValidateRedisSettings(config);
  EXPECT_EQ(FieldOf(status), "redis_url") << "a cluster has one database";
  EXPECT_THAT(std::string(status.message()), HasSubstr("cluster has only database 0"));
  EXPECT_EQ(FieldOf(NameRedisSetting(InvalidField("tls.ca_file", "absent"), "redis_url", "redis_url")),
            "redis_tls_ca");
  const absl::Status absent = InvalidField("tls.key_file", "absent");
  EXPECT_EQ(FieldOf(NameRedisSetting(absent, "catalog_url", "catalog_url")), "catalog_tls_key");
  EXPECT_EQ(NameRedisSetting(absent, "catalog_url", "catalog_url").message(), "catalog_tls_key: absent");
  EXPECT_EQ(FieldOf(NameRedisSetting(absent, "queue_url", "redis_url")), "redis_tls_key");
  EXPECT_EQ(FieldOf(NameRedisSetting(absl::UnavailableError("away"), "queue_url", "redis_url")), "queue_url");
  EXPECT_TRUE(NameRedisSetting(absl::OkStatus(), "redis_url", "redis_url").ok());
}

}  // namespace
}  // namespace cacheclip
