#include "services/cacheclip/store_bench/store_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "common/base/status.h"
#include "tests/support/redis_server.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::UnorderedElementsAre;

// A tiny model and an empty folder for the files.
class StoreBenchTest : public testing::Test {
 protected:
  StoreBenchTest() {
    std::filesystem::create_directories(model_folder_);
    std::filesystem::create_directories(options_.folder);
    WriteTinyModel(model_folder_, {});
    config_.model = model_folder_;
  }
  json Run() {
    const auto report = BenchStore(config_, options_);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : json::object();
  }
  static std::set<std::string> Operations(const json& report) {
    std::set<std::string> operations;
    for (const json& row : report["results"])
      operations.insert(row["tier"].get<std::string>() + ": " + row["operation"].get<std::string>());
    return operations;
  }

  const TempFolder folder_;
  const std::string model_folder_ = folder_.path() + "/model";
  Config config_;
  StoreBenchOptions options_{.chunk_tokens = 24,
                             .num_chunks = 3,
                             .repeat = 2,
                             .num_threads = 2,
                             .folder = folder_.path() + "/files"};
};

TEST_F(StoreBenchTest, EveryTierHasRowsWithALimitBesideThem) {
  CACHECLIP_NEEDS_REDIS();
  const json report = Run();
  EXPECT_EQ(report["benchmark"], "store");
  EXPECT_EQ(report["num_chunks"], 3);
  EXPECT_EQ(report["chunk_tokens"], 24);
  EXPECT_EQ(report["num_threads"], 2);
  EXPECT_THAT(Operations(report),
              IsSupersetOf({"memory: get", "memory: get and assemble", "memory: get and assemble, new cache",
                            "memory: copy in (promotion)", "disk: write", "disk: read, warm", "redis: write",
                            "redis: read", "object: read"}));
  for (const json& row : report["results"]) {
    EXPECT_EQ(row["bytes"], 3 * report["chunk_bytes"].get<int64_t>()) << row;
    for (const char* which : {"low", "median", "high"})
      EXPECT_GT(row["bytes_per_second"][which].get<double>(), 0) << row;
    if (!row.contains("limit")) continue;
    EXPECT_LE(row["ratio"]["low"].get<double>(), row["ratio"]["median"].get<double>()) << row;
    EXPECT_LE(row["ratio"]["median"].get<double>(), row["ratio"]["high"].get<double>()) << row;
  }
  const std::string table = StoreBenchTable(report);
  EXPECT_THAT(table, HasSubstr("3 chunks of 24 tokens"));
  EXPECT_THAT(table, HasSubstr("copy in (promotion)"));
}

TEST_F(StoreBenchTest, MeasuresOnlyTheTiersAskedForAndRemovesItsFiles) {
  options_.tiers = {"object"};
  const json report = Run();
  EXPECT_THAT(Operations(report), UnorderedElementsAre("object: read"));
  EXPECT_TRUE(std::filesystem::is_empty(options_.folder));
}

TEST_F(StoreBenchTest, AServerThatIsConfiguredIsMeasuredAndLeftEmpty) {
  CACHECLIP_NEEDS_REDIS();
  const RedisServer server;
  config_.redis_url = server.url();
  options_.tiers = {"redis"};
  EXPECT_THAT(Operations(Run()), UnorderedElementsAre("redis: write", "redis: read"));
  EXPECT_EQ(server.MakeClient()->Execute({.args = {"DBSIZE"}, .key_index = 0})->integer, 0);
}

TEST_F(StoreBenchTest, WhatCannotBeMeasuredIsSaidAndTheRestIsMeasured) {
  config_.redis_url = "redis://127.0.0.1:1";
  options_.tiers = {"redis", "object"};
  const json report = Run();
  EXPECT_THAT(Operations(report), UnorderedElementsAre("object: read"));
  ASSERT_EQ(report["skipped"].size(), 1u);
  EXPECT_EQ(report["skipped"][0]["tier"], "redis");
  EXPECT_THAT(StoreBenchTable(report), HasSubstr("redis   not measured: "));
}

TEST_F(StoreBenchTest, OptionsOutOfBoundsAreRefusedByName) {
  const auto field = [this](const StoreBenchOptions& options) {
    return FieldOf(BenchStore(config_, options).status());
  };
  EXPECT_EQ(field({.chunk_tokens = 0}), "chunk");
  EXPECT_EQ(field({.num_chunks = kMaxBenchChunks + 1}), "chunks");
  EXPECT_EQ(field({.repeat = 0}), "repeat");
  EXPECT_EQ(field({.num_threads = kMaxBenchThreads + 1}), "threads");
  EXPECT_EQ(field({.tiers = {}}), "tiers");
  EXPECT_EQ(field({.tiers = {"tape"}}), "tiers");
  EXPECT_EQ(field({.tiers = {"object"}, .folder = "/nowhere/at/all"}), "folder");
}

}  // namespace
}  // namespace cacheclip
