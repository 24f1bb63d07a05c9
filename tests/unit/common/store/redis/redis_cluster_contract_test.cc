// The contract of ChunkStore on a Redis Cluster of three primaries with a replica each.
#include "tests/support/redis_store_harness.h"

namespace cacheclip {
namespace {

std::unique_ptr<StoreHarness> OnRedisCluster(const StoreLimits&) {
  static RedisCluster cluster;
  return std::make_unique<RedisHarness>(cluster.MakeClient());
}

INSTANTIATE_TEST_SUITE_P(RedisCluster, ChunkStoreContract, testing::ValuesIn(WithRedis(OnRedisCluster)));

}  // namespace
}  // namespace cacheclip
