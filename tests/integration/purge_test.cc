// cacheclip purge beside a catalogue on Redis and an object tier that others use too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/cluster.h"
#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class PurgeTest : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    redis_ = std::make_unique<RedisServer>();
    cluster_ = std::make_unique<Cluster>();
    Server server = cluster_->Start("cacheclip", {"--catalog-url", redis_->url(), "--object-url", Objects()});
    chunks_ = cluster_->Ingest(server, 2);
    ASSERT_FALSE(chunks_.empty());
    server.process->Signal(SIGTERM);
    EXPECT_EQ(server.process->Wait(), 0) << server.process->Stderr();
  }
  std::string Objects() const { return "file://" + cluster_->folder() + "/objects"; }
  CommandResult Run(const std::string& verb, const std::string& data, std::vector<std::string> further) {
    std::vector<std::string> command = {"cacheclip",    verb,      "--data-dir", data,
                                        "--object-url", Objects(), "--json"};
    command.insert(command.end(), further.begin(), further.end());
    return cluster_->Run(command);
  }
  int64_t NumObjects() {
    const CommandResult result = Run("inspect", cluster_->folder() + "/looking", {"--tier", "object"});
    EXPECT_EQ(result.status, 0) << result.error;
    return json::parse(result.output)["object"]["chunks"];
  }

  std::unique_ptr<RedisServer> redis_;
  std::unique_ptr<Cluster> cluster_;
  std::vector<std::string> chunks_;
};

TEST_F(PurgeTest, ForgettingTheCatalogueDoesNotEmptyTheSharedTier) {
  const int64_t num_objects = NumObjects();
  ASSERT_GE(num_objects, static_cast<int64_t>(chunks_.size()));
  const std::string data = cluster_->folder() + "/elsewhere";
  const CommandResult refused = Run("purge", data, {"--unreferenced", "--yes"});
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_THAT(refused.error, HasSubstr("catalog_url"));
  EXPECT_EQ(NumObjects(), num_objects);

  const CommandResult named = Run("purge", data, {"--unreferenced", "--yes", "--catalog-url", redis_->url()});
  EXPECT_EQ(named.status, 0) << named.error;
  EXPECT_EQ(NumObjects(), static_cast<int64_t>(chunks_.size())) << "only the prefix goes";
}

TEST_F(PurgeTest, ACatalogueThatDoesNotAnswerKeepsEverything) {
  const int64_t num_objects = NumObjects();
  redis_->Kill();
  for (const std::string what : {"--unreferenced", "--all-documents"}) {
    const CommandResult result =
        Run("purge", cluster_->data(), {what, "--yes", "--catalog-url", redis_->url()});
    EXPECT_EQ(result.status, 3) << result.output << result.error;
  }
  EXPECT_EQ(NumObjects(), num_objects);
}

TEST_F(PurgeTest, InspectSaysThatTheCatalogueDoesNotAnswer) {
  redis_->Kill();
  const CommandResult result = Run("inspect", cluster_->data(), {"--catalog-url", redis_->url()});
  const json report = json::parse(result.output);
  EXPECT_TRUE(report["catalog"].contains("unavailable")) << report;
  EXPECT_FALSE(report["object"].contains("unreferenced")) << "whose they are is not known";
}

}  // namespace
}  // namespace cacheclip
