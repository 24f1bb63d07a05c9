// `cacheclip preload` with real processes and a real Redis: workers that share a job, and die.
#include <csignal>
#include <cstdlib>
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

// CACHECLIP_PRELOAD_DOCUMENTS: preload_long has 2 000.
TEST_F(Preload, SurvivesTheDeathOfTwoOfThreeWorkers) {
  const char* const asked = std::getenv("CACHECLIP_PRELOAD_DOCUMENTS");
  KillTwoOfThree(asked != nullptr ? std::atoi(asked) : 60);
}

TEST_F(Preload, ADryRunCountsAndLoadsNothing) {
  const std::string manifest = WriteManifest(cluster_.folder(), 4);
  const CommandResult result = cluster_.Run(Command(0, {manifest, "--dry-run"}));
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(json::parse(result.output)["job"]["documents"], 4);
  EXPECT_EQ(json::parse(result.output)["documents"], 0);
  EXPECT_EQ(json::parse(cluster_.Run(Command(1, {manifest})).output)["unchanged"], 0) << "nothing was there";
}

TEST_F(Preload, ADoneJobRestsUntilItIsResetOrItsDocumentsChange) {
  const std::string manifest = WriteManifest(cluster_.folder(), 2);
  const std::vector<std::string> job = {manifest, "--job", "nightly"};
  const auto run = [&](int worker, std::vector<std::string> arguments) {
    const CommandResult result = cluster_.Run(Command(worker, std::move(arguments)));
    EXPECT_EQ(result.status, 0) << result.error;
    return json::parse(result.output, nullptr, false);
  };
  EXPECT_EQ(run(0, job)["documents"], 2);
  EXPECT_EQ(run(1, job)["documents"], 0);
  const json anew = run(2, {manifest, "--job", "nightly", "--reset"});
  EXPECT_EQ(anew["documents"], 2);
  EXPECT_EQ(anew["unchanged"], 2);
  std::ofstream(manifest) << json{{"id", "document-0"}, {"text", "Edited."}}.dump() << "\n";
  EXPECT_EQ(run(3, job)["documents"], 1) << "an edit is another job";
  EXPECT_EQ(run(4, {manifest, "--job", "nightly", "--kv-dtype", "int8"})["chunks_encoded"], 1)
      << "so are other bytes";
}

TEST_F(Preload, WhatCannotBeDoneIsExitCodeOne) {
  const std::string manifest = WriteManifest(cluster_.folder(), 2);
  std::ofstream(manifest, std::ios::app) << "no document\n";
  const CommandResult result = cluster_.Run(Command(0, {manifest}));
  EXPECT_EQ(result.status, 1) << result.error;
  const json report = json::parse(result.output);
  EXPECT_FALSE(report["complete"].get<bool>());
  EXPECT_EQ(report["job"]["done"], 2);
  EXPECT_THAT(report["failures"].dump(), testing::HasSubstr("manifest.jsonl:3"));
}

TEST_F(Preload, AnObjectTierThatComesLaterIsFilledWithoutEncoding) {
  const std::string manifest = WriteManifest(cluster_.folder(), 3);
  const CommandResult first = cluster_.Run(Command(0, {manifest}));
  ASSERT_EQ(first.status, 0) << first.error;
  EXPECT_THAT(first.error, testing::HasSubstr("documents 3/3\n"));
  const std::string objects = cluster_.folder() + "/objects";
  const CommandResult second = cluster_.Run(Command(1, {manifest, "--object-url", "file://" + objects}));
  ASSERT_EQ(second.status, 0) << second.error;
  EXPECT_EQ(json::parse(second.output)["chunks_encoded"], 0);
  const CommandResult found =
      cluster_.Run({"cacheclip", "inspect", "--json", "--data-dir", cluster_.folder() + "/looking",
                    "--catalog-url", redis_->url(), "--object-url", "file://" + objects});
  ASSERT_EQ(found.status, 0) << found.error;
  const json object = json::parse(found.output)["object"];
  EXPECT_EQ(object["missing"], 0) << object;
  EXPECT_EQ(object["unreferenced"]["chunks"], 1) << "the prefix";
}

TEST_F(Preload, ASignalLeavesTimeToWriteWhatIsQueued) {
  RedisServer catalog;
  const std::string manifest = WriteManifest(cluster_.folder(), 200);
  redis_->Kill();
  const auto worker =
      Start(0, {manifest, "--catalog-url", catalog.url(), "--write-mode", "back", "--drain-seconds", "600"});
  ASSERT_TRUE(PollUntil([&] { return ReadReport(ReportOf(0)).is_object(); })) << worker->Stderr();
  worker->Signal(SIGTERM);
  ASSERT_TRUE(PollUntil([&] { return worker->Stderr().find("writing them") != std::string::npos; }))
      << worker->Stderr();
  redis_->Restart();
  EXPECT_EQ(worker->Wait(), 1) << worker->Stderr();
  EXPECT_THAT(worker->Stderr(), testing::HasSubstr("cancelled"));
  EXPECT_THAT(worker->Stderr(), testing::Not(testing::HasSubstr("still queued")));
  EXPECT_GT(redis_->MakeClient()->Execute({.args = {"DBSIZE"}, .key_index = 0})->integer, 0);
}

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
