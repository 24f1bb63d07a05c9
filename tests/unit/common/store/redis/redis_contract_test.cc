// The contract of ChunkStore on plain Redis and on Redis with TLS, client certificates and AUTH.
#include "tests/support/redis_store_harness.h"

namespace cacheclip {
namespace {

std::unique_ptr<StoreHarness> OnPlainRedis(const StoreLimits&) {
  static RedisServer server;
  return std::make_unique<RedisHarness>(server.MakeClient());
}

std::unique_ptr<StoreHarness> OnRedisWithTls(const StoreLimits&) {
  static RedisServer server({.tls = true, .user = "worker", .password = "p@ss.word"});
  return std::make_unique<RedisHarness>(server.MakeClient());
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ChunkStoreContract);  // where Redis is not installed
INSTANTIATE_TEST_SUITE_P(Redis, ChunkStoreContract, testing::ValuesIn(WithRedis(OnPlainRedis)));
INSTANTIATE_TEST_SUITE_P(RedisTls, ChunkStoreContract, testing::ValuesIn(WithRedis(OnRedisWithTls)));

}  // namespace
}  // namespace cacheclip
