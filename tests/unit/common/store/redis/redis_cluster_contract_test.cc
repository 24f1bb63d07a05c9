// The contract of ChunkStore on a Redis Cluster of three primaries with a replica each, and on one with TLS,
// client certificates and AUTH.
#include "tests/support/redis_store_harness.h"

namespace cacheclip {
namespace {

std::unique_ptr<StoreHarness> OnRedisCluster(const StoreLimits&) {
  static RedisCluster cluster;
  return std::make_unique<RedisHarness>(cluster.MakeClient());
}

// Without replicas: nothing fails over here.
std::unique_ptr<StoreHarness> OnRedisClusterWithTls(const StoreLimits&) {
  static RedisCluster cluster({.tls = true, .user = "worker", .password = "p@ss.word"}, 0);
  return std::make_unique<RedisHarness>(cluster.MakeClient());
}

INSTANTIATE_TEST_SUITE_P(RedisCluster, ChunkStoreContract, testing::ValuesIn(WithRedis(OnRedisCluster)));
INSTANTIATE_TEST_SUITE_P(RedisClusterTls, ChunkStoreContract,
                         testing::ValuesIn(WithRedis(OnRedisClusterWithTls)));

}  // namespace
}  // namespace cacheclip
