#include "common/catalog/redis/server_check.h"

#include <string>

#include "common/base/status.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

TEST(ServerCheck, PoliciesThatEvictTheCatalogueAreRefused) {
  for (const std::string policy : {"allkeys-lru", "allkeys-lfu", "allkeys-random"}) {
    const absl::Status status =
        CheckServerInfo("redis_version:7.0.15\r\nmaxmemory_policy:" + policy + "\r\n");
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(FieldOf(status), "catalog_url");
    EXPECT_THAT(std::string(status.message()), HasSubstr(policy));
  }
  for (const std::string policy : {"noeviction", "volatile-lru", "volatile-ttl"})
    EXPECT_TRUE(CheckServerInfo("# Memory\r\nmaxmemory_policy:" + policy + "\r\n").ok()) << policy;
}

TEST(ServerCheck, OldServersAreRefused) {
  for (const std::string version : {"5.0.14", "6.0.16", "2.8.0"}) {
    const absl::Status status = CheckServerInfo("redis_version:" + version + "\n");
    EXPECT_EQ(FieldOf(status), "catalog_url") << version;
    EXPECT_THAT(std::string(status.message()), HasSubstr(version));
  }
  for (const std::string version : {"6.2.0", "7.0.15", "10.1"})
    EXPECT_TRUE(CheckServerInfo("redis_version:" + version + "\n").ok()) << version;
  EXPECT_TRUE(CheckServerInfo("").ok());  // a server that hides what it is
}

class ServerCheckTest : public RedisCatalogTest {};

TEST_F(ServerCheckTest, AnotherLayoutIsRefusedByNumber) {
  Ask({"SET", LayoutKey(root_), "99"});
  for (const bool read_only : {false, true}) {
    const absl::Status status = CheckCatalogServer(*server_, read_only);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(FieldOf(status), "catalog_url");
    EXPECT_THAT(std::string(status.message()), HasSubstr("layout 99"));
  }
}

TEST_F(ServerCheckTest, ReaderOfAnEmptyServerWaitsForAWriter) {
  const CatalogServer empty(client_.get(), UniqueRoot(), absl::Seconds(10), &clock_);
  EXPECT_EQ(CheckCatalogServer(empty, /*read_only=*/true).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(CheckCatalogServer(empty, /*read_only=*/false).ok());
  EXPECT_TRUE(CheckCatalogServer(empty, /*read_only=*/true).ok());
}

TEST_F(ServerCheckTest, RunningServerIsAskedForItsPolicy) {
  Ask({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  const absl::Status status = CheckCatalogServer(*server_, /*read_only=*/true);
  Ask({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(FieldOf(status), "catalog_url");
}

}  // namespace
}  // namespace cacheclip
