#include "common/catalog/redis/catalog_server.h"

#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/catalog/redis/catalog_scripts.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CatalogServerTest : public RedisCatalogTest {};

TEST_F(CatalogServerTest, UnknownNamespaceIsNotFoundByField) {
  EXPECT_TRUE(server_->CheckNamespace("docs").ok());
  const absl::Status status = server_->CheckNamespace("nobody");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FieldOf(status), "namespace");
  EXPECT_EQ(server_->CheckNamespace("No Name").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CatalogServerTest, ScriptOnManyKeysIsSentInFullWhereItIsUnknown) {
  Ask({"SCRIPT", "FLUSH"});
  const std::vector<std::string> keys = {HoldersKey(root_, "a"), HoldersKey(root_, "b")};
  Ask({"ZADD", keys[1], "5", "docs"});
  const std::vector<std::string> args = {"docs", "4"};
  for (int round = 0; round < 2; ++round)
    EXPECT_THAT(server_->RunOnEach(CatalogScripts::Get().release, keys, args).value(), ElementsAre(1, 0));
  Ask({"DEL", keys[1]});
}

TEST_F(CatalogServerTest, FirstErrorOfAPipelineIsReported) {
  const std::vector<RedisCommand> commands = {{.args = {"SET", root_ + ":text", "x"}},
                                              {.args = {"HGET", root_ + ":text", "field"}}};
  const absl::Status status = server_->Pipeline(commands).status();
  EXPECT_EQ(RedisErrorCode(status), "WRONGTYPE");
  EXPECT_THAT(std::string(status.message()), HasSubstr("catalogue at 127.0.0.1"));
  EXPECT_TRUE(server_->Pipeline({}).value().empty());
}

TEST(CatalogServer, NobodyListeningIsUnavailable) {
  RedisClientOptions options{.endpoints = {{"127.0.0.1", FreePort()}}, .cluster_mode = ClusterMode::kNo};
  const auto client = MakeRedisClient(options).value();
  FakeClock clock;
  const CatalogServer server(client.get(), "r", absl::Milliseconds(200), &clock);
  const absl::Status status = server.Execute({.args = {"GET", "r"}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(client->address()));
}

TEST(CatalogServer, ServerThatNeverAnswersIsUnavailable) {
  CACHECLIP_NEEDS_REDIS();
  RedisServer redis;
  const auto client = MakeRedisClient(redis.client_options()).value();
  FakeClock clock;
  const CatalogServer server(client.get(), "r", absl::Milliseconds(300), &clock);
  ASSERT_TRUE(server.Execute({.args = {"GET", "r"}}).ok());
  redis.Pause();
  EXPECT_EQ(server.Execute({.args = {"GET", "r"}}).status().code(), absl::StatusCode::kUnavailable);
  redis.Resume();
}

TEST(CatalogServer, IntegersMayComeAsText) {
  EXPECT_EQ(IntegerOf({.type = RedisReply::Type::kInteger, .integer = 7}), 7);
  EXPECT_EQ(IntegerOf({.type = RedisReply::Type::kString, .text = "12"}), 12);
  EXPECT_EQ(IntegerOf({.type = RedisReply::Type::kString, .text = "x"}), -1);
  EXPECT_EQ(IntegerOf({}), -1);
}

}  // namespace
}  // namespace cacheclip
