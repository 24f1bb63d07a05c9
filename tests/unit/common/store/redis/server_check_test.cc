#include "common/store/redis/server_check.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

std::unique_ptr<RedisServer> WithPolicy(const std::string& policy) {
  return std::make_unique<RedisServer>(
      RedisServerOptions{.settings = {"maxmemory 20mb", "maxmemory-policy " + policy}});
}

TEST(ServerCheck, RefusesToEvictTheCatalogue) {
  CACHECLIP_NEEDS_REDIS();
  const auto chunks = WithPolicy("allkeys-lru"), catalog = WithPolicy("noeviction");
  const auto chunks_client = chunks->MakeClient(), same_server = chunks->MakeClient();
  const auto refused = CheckKvServer(*chunks_client, same_server.get());
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_TRUE(absl::StrContains(refused.status().message(), "allkeys-lru"));
  const auto apart = CheckKvServer(*chunks_client, catalog->MakeClient().get());
  ASSERT_TRUE(apart.ok()) << apart.status();
  EXPECT_EQ(apart->size(), 1);
}

TEST(ServerCheck, WarnsOfWhatWillDisappoint) {
  CACHECLIP_NEEDS_REDIS();
  const auto good = WithPolicy("volatile-lru"), full = WithPolicy("noeviction");
  EXPECT_TRUE(CheckKvServer(*good->MakeClient(), nullptr)->empty());
  const auto client = good->MakeClient();
  EXPECT_EQ(CheckKvServer(*client, client.get())->size(), 1) << "shared with the catalogue";
  EXPECT_TRUE(absl::StrContains(CheckKvServer(*full->MakeClient(), nullptr)->front(), "noeviction"));
  const RedisServer unlimited;
  EXPECT_TRUE(absl::StrContains(CheckKvServer(*unlimited.MakeClient(), nullptr)->front(), "maxmemory"));
}

TEST(ServerCheck, ServerThatIsAwayIsUnavailable) {
  CACHECLIP_NEEDS_REDIS();
  RedisServer server;
  const auto client = server.MakeClient();
  server.Kill();
  EXPECT_TRUE(absl::IsUnavailable(CheckKvServer(*client, nullptr).status()));
}

}  // namespace
}  // namespace cacheclip
