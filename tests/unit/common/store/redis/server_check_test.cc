#include "common/store/redis/server_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::unique_ptr<RedisServer> WithPolicy(const std::string& policy) {
  return std::make_unique<RedisServer>(
      RedisServerOptions{.settings = {"maxmemory 20mb", "maxmemory-policy " + policy}});
}

std::vector<RedisServerFacts> FactsOf(const RedisServer& server) {
  const auto facts = AskRedisServers(*server.MakeClient(), absl::InfiniteFuture());
  EXPECT_TRUE(facts.ok()) << facts.status();
  return facts.ok() ? *facts : std::vector<RedisServerFacts>();
}

TEST(ServerCheck, RefusesToEvictTheCatalogue) {
  CACHECLIP_NEEDS_REDIS();
  const auto chunks = FactsOf(*WithPolicy("allkeys-lru")), catalog = FactsOf(*WithPolicy("noeviction"));
  const auto refused = CheckSharing(chunks, chunks);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("allkeys-lru"));
  const auto apart = CheckSharing(chunks, catalog);
  ASSERT_TRUE(apart.ok()) << apart.status();
  EXPECT_THAT(*apart, IsEmpty());
}

TEST(ServerCheck, WarnsOfWhatWillDisappoint) {
  CACHECLIP_NEEDS_REDIS();
  const auto good = FactsOf(*WithPolicy("volatile-lru"));
  EXPECT_THAT(ChunkWarnings(good), IsEmpty());
  EXPECT_THAT(*CheckSharing(good, good), ElementsAre(HasSubstr("share a Redis server")));
  EXPECT_THAT(ChunkWarnings(FactsOf(*WithPolicy("allkeys-lru"))), ElementsAre(HasSubstr("allkeys-lru")));
  EXPECT_THAT(ChunkWarnings(FactsOf(*WithPolicy("noeviction"))), ElementsAre(HasSubstr("noeviction")));
  EXPECT_THAT(ChunkWarnings(FactsOf(RedisServer())), ElementsAre(HasSubstr("no maxmemory")));
}

TEST(ServerCheck, ServerThatIsAwayIsUnavailable) {
  CACHECLIP_NEEDS_REDIS();
  RedisServer server;
  const auto client = server.MakeClient();
  server.Kill();
  EXPECT_TRUE(absl::IsUnavailable(AskRedisServers(*client, absl::InfiniteFuture()).status()));
}

TEST(ServerCheck, ASilentServerIsAskedNoLongerThanTheDeadline) {
  CACHECLIP_NEEDS_REDIS();
  RedisServer server;
  RedisClientOptions options = server.client_options();
  options.timeout = absl::Hours(1);
  const auto client = MakeRedisClient(options).value();
  ASSERT_TRUE(client->Execute({.args = {"PING"}, .key_index = 0}).ok());
  server.Pause();
  const auto facts = AskRedisServers(*client, absl::Now() + absl::Milliseconds(50));
  EXPECT_TRUE(absl::IsDeadlineExceeded(facts.status())) << facts.status();
}

}  // namespace
}  // namespace cacheclip
