#include "services/runtime/stores.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/redis_server.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_chunks.h"

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

TEST(Stores, TheObjectTierHoldsWhatItMay) {
  TempFolder folder;
  const auto chunk = MakeTestChunk({.seed = 1}), other = MakeTestChunk({.seed = 2});
  Config config;
  config.object_url = "file://" + folder.path();
  const auto num_chunks = [&config](ChunkStore& store) {
    int num = 0;
    EXPECT_TRUE(store.ForEach([&num](const ChunkKey&, int64_t) { ++num; }).ok());
    return num;
  };
  auto unlimited = OpenRemoteTiers(config);
  ASSERT_TRUE(unlimited.ok()) << unlimited.status();
  ChunkStore& all = *unlimited->front().store;
  ASSERT_TRUE(all.Put(chunk).ok());
  ASSERT_TRUE(all.Put(other).ok());
  EXPECT_EQ(num_chunks(all), 2);
  config.object_bytes = chunk->total_bytes() + 1;
  auto limited = OpenRemoteTiers(config);
  ASSERT_TRUE(limited.ok()) << limited.status();
  ASSERT_TRUE(limited->front().store->Put(MakeTestChunk({.seed = 3})).ok());
  EXPECT_EQ(num_chunks(*limited->front().store), 1);
}

TEST(Stores, AQueuesTlsFilesAreNamedByTheSettingTheyComeFrom) {
  Config config;
  config.redis_url = "rediss://kv/0";
  config.redis_tls_ca = "/nowhere/kv.pem";
  config.catalog_tls_ca = "/nowhere/catalog.pem";
  for (const char* url : {"rediss://kv/0", "rediss://kv:6379/1"})
    EXPECT_EQ(FieldOf(ConnectQueue(config, url).status()), "redis_tls_ca") << url;
  EXPECT_EQ(FieldOf(ConnectQueue(config, "rediss://elsewhere").status()), "catalog_tls_ca");
}

}  // namespace
}  // namespace cacheclip
