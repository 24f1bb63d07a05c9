#include "services/runtime/stores.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/redis_server.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

TEST(Stores, ACatalogueOnAPlainServerBesideAClusterForKv) {
  CACHECLIP_NEEDS_REDIS();
  const RedisServer catalog_server;
  Config config;
  config.redis_url = "redis://127.0.0.1:1";  // need not be there yet
  config.redis_cluster = "yes";
  config.catalog_url = catalog_server.url();
  ASSERT_TRUE(ValidateStoreSettings(config).ok());
  const auto tiers = OpenRemoteTiers(config);
  EXPECT_TRUE(tiers.ok()) << tiers.status();
  const auto catalog = OpenCatalog(config, CatalogAccess::kReadWrite);
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  EXPECT_TRUE((*catalog)->PutNamespace("docs").ok());
  const auto queue = ConnectQueue(config, "");
  ASSERT_TRUE(queue.ok()) << queue.status();
  EXPECT_TRUE((*queue)->Execute({.args = {"GET", "x"}}).ok());
}

TEST(Stores, EachServerIsTrustedByItsOwnAuthority) {
  CACHECLIP_NEEDS_REDIS();
  const RedisServer chunks({.tls = true}), plain;
  const TestCertificates& certificates = GetTestCertificates();
  Config config;
  config.redis_url = chunks.url();
  config.redis_tls_ca = certificates.ca;
  config.redis_tls_certificate = certificates.certificate;
  config.redis_tls_key = certificates.key;
  config.catalog_url = plain.url();
  ASSERT_TRUE(ValidateStoreSettings(config).ok()) << ValidateStoreSettings(config);
  EXPECT_TRUE(OpenCatalog(config, CatalogAccess::kReadWrite).ok());
  EXPECT_TRUE((*ConnectQueue(config, chunks.url()))->Execute({.args = {"GET", "x"}}).ok());
  config.catalog_url = chunks.url();
  config.catalog_tls_certificate = certificates.certificate;
  config.catalog_tls_key = certificates.key;
  EXPECT_TRUE(OpenCatalog(config, CatalogAccess::kReadWrite).ok()) << "redis_tls_ca stands in";
  config.catalog_tls_ca = certificates.other_ca;
  EXPECT_FALSE(OpenCatalog(config, CatalogAccess::kReadWrite).ok());
}

}  // namespace
}  // namespace cacheclip
