// `cacheclip preload` with real processes and a real Redis: workers that share a job, and die.
#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/integration/cluster.h"
#include "tests/support/poll.h"
#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

using nlohmann::json;

// Documents that share no chunk.
std::string WriteManifest(const std::string& folder, int num_documents) {
  const std::string path = folder + "/manifest.jsonl";
  std::ofstream file(path);
  for (int i = 0; i < num_documents; ++i) {
    std::string text;
    for (int sentence = 0; sentence < 8; ++sentence)
      absl::StrAppend(&text, "Document ", i, " says in sentence ", sentence, " that ship ", i * 31 + sentence,
                      " came home. ");
    file << json{{"id", absl::StrCat("document-", i)}, {"text", text}}.dump() << "\n";
  }
  return path;
}

json ReadReport(const std::string& path) {
  std::ifstream file(path);
  return json::parse(file, nullptr, false);
}

class Preload : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    redis_ = std::make_unique<RedisServer>();
  }

  std::vector<std::string> Command(int worker, std::vector<std::string> more) {
    std::vector<std::string> command = {"cacheclip", "preload"};
    const std::string data = absl::StrCat(cluster_.folder(), "/worker-", worker);
    const std::vector<std::string> settings = {
        "--model",     cluster_.model(), "--dtype",       "fp32",        "--data-dir",     data,
        "--redis-url", redis_->url(),    "--catalog-url", redis_->url(), "--chunk-tokens", "96",
        "--report",    ReportOf(worker), "--json"};
    command.insert(command.end(), settings.begin(), settings.end());
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  std::string ReportOf(int worker) { return absl::StrCat(cluster_.folder(), "/report-", worker, ".json"); }
  std::unique_ptr<Subprocess> Start(int worker, const std::vector<std::string>& more) {
    std::vector<std::string> command = Command(worker, more);
    command[0] = absl::StrCat(CACHECLIP_BINARY_DIR, "/bin/cacheclip");
    return std::make_unique<Subprocess>(command, absl::StrCat(cluster_.folder(), "/stderr-worker-", worker));
  }

  // Three workers of one job, two of them killed in the middle.
  void KillTwoOfThree(int num_documents);

  Cluster cluster_;
  std::unique_ptr<RedisServer> redis_;
};

void Preload::KillTwoOfThree(int num_documents) {
  const std::string manifest = WriteManifest(cluster_.folder(), num_documents);
  const std::vector<std::string> job = {manifest, "--job", "nightly", "--lease-seconds", "2"};
  std::vector<std::unique_ptr<Subprocess>> workers;
  for (int i = 0; i < 3; ++i) workers.push_back(Start(i, job));
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(PollUntil([&] {
      const json report = ReadReport(ReportOf(i));
      return report.is_object() && report["documents"].get<int>() >= num_documents / 20;
    })) << workers[i]->Stderr();
    workers[i]->Signal(SIGKILL);
    workers[i]->Wait();
  }
  const json last = json::parse(workers[2]->ReadAll(), nullptr, false);
  ASSERT_EQ(workers[2]->Wait(), 0) << workers[2]->Stderr();
  EXPECT_TRUE(last["complete"].get<bool>()) << last;
  EXPECT_EQ(last["job"]["done"], num_documents);

  // A killed worker's report counts the documents it finished: what it was at may be encoded again, those
  // not.
  int64_t num_encoded = 0, num_chunks = 0, num_finished = 0;
  for (int i = 0; i < 3; ++i) {
    const json report = ReadReport(ReportOf(i));
    num_encoded += report["chunks_encoded"].get<int64_t>();
    num_finished += report["documents"].get<int64_t>();
  }
  const CommandResult again = cluster_.Run(Command(3, {manifest}));
  ASSERT_EQ(again.status, 0) << again.error;
  const json summary = json::parse(again.output);
  num_chunks = summary["chunks_reused"];
  EXPECT_EQ(summary["unchanged"], num_documents) << "everything is there";
  EXPECT_EQ(summary["chunks_encoded"], 0);
  EXPECT_LE(num_encoded, num_chunks) << "nothing that was finished is encoded twice";
  EXPECT_GE(num_finished, num_documents - 2 * 2) << "two workers with two documents under way each";
}

TEST_F(Preload, SurvivesTheDeathOfTwoOfThreeWorkers) { KillTwoOfThree(60); }

TEST_F(Preload, ShardsTogetherCoverTheManifest) {
  const std::string manifest = WriteManifest(cluster_.folder(), 9);
  int64_t num_documents = 0;
  for (int shard = 1; shard <= 2; ++shard) {
    const CommandResult result =
        cluster_.Run(Command(shard, {manifest, "--shard", absl::StrCat(shard, "/2")}));
    ASSERT_EQ(result.status, 0) << result.error;
    num_documents += json::parse(result.output)["documents"].get<int64_t>();
  }
  EXPECT_EQ(num_documents, 9);
  EXPECT_EQ(json::parse(cluster_.Run(Command(3, {manifest})).output)["unchanged"], 9);
}

TEST_F(Preload, WhatIsPreloadedIsServedWithoutComputingIt) {
  const std::string manifest = WriteManifest(cluster_.folder(), 3);
  ASSERT_EQ(cluster_.Run(Command(0, {manifest})).status, 0);
  const Server server =
      cluster_.Start("cacheclip", {"--redis-url", redis_->url(), "--catalog-url", redis_->url()});
  IngestionClient client(ChannelTo(server));
  const auto document = client.GetDocument("default", "document-1");
  ASSERT_TRUE(document.ok()) << document.status();
  std::vector<std::string> ids;
  for (const ChunkReference& chunk : document->chunks) ids.push_back(chunk.chunk_id);
  const auto result = Generate(server, RequestOver(ids, Method::kPrimaryProbe));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.reencoded_tokens, 0);
  EXPECT_GT(result->usage.cached_tokens.at(Tier::kRedis), 0);
  EXPECT_TRUE(result->usage.fallbacks.empty()) << result->usage.fallbacks.front().detail;
}

}  // namespace
}  // namespace cacheclip
