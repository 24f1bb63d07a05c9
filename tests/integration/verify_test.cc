// cacheclip verify against a catalogue on a real Redis that has lost writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/catalog/redis/catalog_keys.h"
#include "tests/integration/cluster.h"
#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kRoot[] = "cc:cat";  // of RedisCatalogOptions

class Verify : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    redis_ = std::make_unique<RedisServer>();
    cluster_ = std::make_unique<Cluster>();
    Server server = cluster_->Start("cacheclip", {"--catalog-url", redis_->url()});
    chunks_ = cluster_->Ingest(server, 2);
    ASSERT_FALSE(chunks_.empty());
    server.process->Signal(SIGTERM);
    EXPECT_EQ(server.process->Wait(), 0) << server.process->Stderr();
  }
  CommandResult Run(const std::vector<std::string>& further) {
    std::vector<std::string> command = {"cacheclip",     "verify",      "--data-dir", cluster_->data(),
                                        "--catalog-url", redis_->url(), "--json"};
    command.insert(command.end(), further.begin(), further.end());
    return cluster_->Run(command);
  }

  std::unique_ptr<RedisServer> redis_;
  std::unique_ptr<Cluster> cluster_;
  std::vector<std::string> chunks_;
};

TEST_F(Verify, FindsWhatRedisLostAndRepairsItWhenAskedTo) {
  const CommandResult sound = Run({});
  ASSERT_EQ(sound.status, 0) << sound.output << sound.error;
  EXPECT_EQ(json::parse(sound.output)["catalog"]["problems"], 0);
  EXPECT_EQ(json::parse(sound.output)["catalog"]["documents"], 2);

  const auto client = redis_->MakeClient();
  ASSERT_EQ(client->Execute({.args = {"ZREM", HoldersKey(kRoot, chunks_[0]), "default"}})->integer, 1);
  for (const std::vector<std::string>& looking : {std::vector<std::string>{}, {"--repair", "--dry-run"}}) {
    const CommandResult found = Run(looking);
    EXPECT_EQ(found.status, 1) << found.output << found.error;
    const json catalog = json::parse(found.output)["catalog"];
    EXPECT_EQ(catalog["problems"], 1);
    EXPECT_THAT(catalog["listed_problems"].get<std::vector<std::string>>(),
                ElementsAre(HasSubstr("does not hold it")));
    EXPECT_FALSE(catalog["repaired"].get<bool>());
    EXPECT_FALSE(json::parse(found.output)["ok"].get<bool>());
  }

  const CommandResult repaired = Run({"--repair"});
  EXPECT_EQ(repaired.status, 0) << repaired.output << repaired.error;
  EXPECT_TRUE(json::parse(repaired.output)["catalog"]["repaired"].get<bool>());
  EXPECT_EQ(json::parse(repaired.output)["catalog"]["problems"], 0);
  EXPECT_EQ(Run({}).status, 0);
}

TEST_F(Verify, ACatalogueThatDoesNotAnswerIsAFailure) {
  redis_->Kill();
  const CommandResult result = Run({});
  EXPECT_EQ(result.status, 1) << result.error;
  EXPECT_TRUE(json::parse(result.output)["catalog"].contains("unavailable"));
}

}  // namespace
}  // namespace cacheclip
