#include "services/runtime/config.h"

#include <fstream>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/file.h"
#include "common/base/status.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string WriteYaml(const TempFolder& folder, const std::string& text) {
  const std::string file = folder.path() + "/config.yaml";
  std::ofstream(file) << text;
  return file;
}

std::string FieldOfLoading(const ConfigSources& sources) { return FieldOf(LoadConfig(sources).status()); }

TEST(Config, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  TempFolder folder;
  const std::string file = WriteYaml(folder, "port: 1\nwindow: 4\ndtype: fp32\n");
  const auto config =
      LoadConfig({.flags = {{"port", "3"}}, .environment = {{"port", "2"}, {"window", "16"}}, .file = file});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->port, 3);
  EXPECT_EQ(config->window, 16);
  EXPECT_EQ(config->dtype, "fp32");
  EXPECT_EQ(config->address, "127.0.0.1");
}

TEST(Config, SizesTakeUnits) {
  const auto config =
      LoadConfig({.flags = {{"memory_bytes", "2GiB"}, {"disk_bytes", "512MiB"}, {"kv_bytes", "1000"}}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->memory_bytes, int64_t{2} << 30);
  EXPECT_EQ(config->disk_bytes, int64_t{512} << 20);
  EXPECT_EQ(config->kv_bytes, 1000);
}

TEST(Config, RefusesByName) {
  TempFolder folder;
  EXPECT_EQ(FieldOfLoading({.file = WriteYaml(folder, "prot: 1\n")}), "prot");
  EXPECT_EQ(FieldOfLoading({.flags = {{"port", "65536"}}}), "port");
  EXPECT_EQ(FieldOfLoading({.flags = {{"port", "many"}}}), "port");
  EXPECT_EQ(FieldOfLoading({.flags = {{"port", "1.5"}}}), "port");
  EXPECT_EQ(FieldOfLoading({.environment = {{"dtype", "fp8"}}}), "dtype");
  EXPECT_EQ(FieldOfLoading({.flags = {{"kv_dtype", "int4"}}}), "kv_dtype");
  EXPECT_EQ(FieldOfLoading({.flags = {{"weights", "int4"}}}), "weights");
  EXPECT_EQ(FieldOfLoading({.flags = {{"selector", "perhaps"}}}), "selector");
  EXPECT_EQ(FieldOfLoading({.file = WriteYaml(folder, "port: [1, 2]\n")}), "port");
  EXPECT_EQ(FieldOfLoading({.file = WriteYaml(folder, "port: {\n")}), "config");
}

TEST(Config, RefusesContradictions) {
  EXPECT_EQ(FieldOfLoading({.flags = {{"tls_key", "k.pem"}}}), "tls_certificate");
  EXPECT_EQ(FieldOfLoading({.flags = {{"tls_client_ca", "ca.pem"}}}), "tls_client_ca");
  EXPECT_EQ(FieldOfLoading({.flags = {{"selector", "no"}, {"selector_target", "host:1"}}}),
            "selector_target");
  EXPECT_EQ(FieldOfLoading({.flags = {{"window", "4"}, {"seam_tokens", "8"}}}), "seam_tokens");
  EXPECT_EQ(FieldOfLoading({.flags = {{"dtype", "fp32"}, {"kv_dtype", "bf16"}}}), "kv_dtype");
  EXPECT_EQ(FieldOfLoading({.flags = {{"dtype", "bf16"}, {"kv_dtype", "fp32"}}}), "kv_dtype");
}

TEST(Config, StoredKvIsWhatIsComputedInOrInt8) {
  for (const char* dtype : {"bf16", "fp32"})
    for (const char* kv_dtype : {"auto", dtype, "int8"}) {
      const auto config = LoadConfig({.flags = {{"dtype", dtype}, {"kv_dtype", kv_dtype}}});
      ASSERT_TRUE(config.ok()) << config.status();
      EXPECT_EQ(config->kv_dtype, kv_dtype);
    }
  EXPECT_EQ(LoadConfig({})->kv_dtype, "auto");
}

TEST(Config, RefusesStoreSettingsThatCannotWork) {
  EXPECT_EQ(FieldOfLoading({.flags = {{"redis_url", "http://host"}}}), "redis_url");
  EXPECT_EQ(FieldOfLoading({.flags = {{"catalog_url", "redis://"}}}), "catalog_url");
  EXPECT_EQ(FieldOfLoading({.flags = {{"object_url", "s3://"}}}), "object_url");
  EXPECT_EQ(FieldOfLoading({.flags = {{"redis_tls_key", "k.pem"}}}), "redis_tls_certificate");
  EXPECT_EQ(FieldOfLoading({.flags = {{"write_mode", "back"}}}), "write_mode");
  EXPECT_EQ(FieldOfLoading({.flags = {{"redis_url", "redis://h"}, {"redis_password_file", "/nowhere"}}}),
            "redis_password_file");
  EXPECT_EQ(FieldOfLoading({.flags = {{"redis_url", "redis://h"}, {"redis_tls_ca", "ca.pem"}}}),
            "redis_tls_ca");
  EXPECT_EQ(FieldOfLoading({.flags = {{"object_bytes", "-1"}}}), "object_bytes");
  ConfigSources bounded = {.flags = {{"object_url", "s3://bucket/prefix"}, {"object_bytes", "1GiB"}}};
  EXPECT_EQ(FieldOfLoading(bounded), "object_bytes");
  EXPECT_THAT(std::string(LoadConfig(bounded).status().message()), HasSubstr("lifecycle rules"));
  bounded.flags["object_url"] = "file:///folder";
  EXPECT_TRUE(LoadConfig(bounded).ok()) << LoadConfig(bounded).status();
}

TEST(Config, RefusesAWriteBackQueueThatARestartWouldLose) {
  ConfigSources sources = {.flags = {{"redis_url", "redis://h"}, {"write_mode", "back"}}};
  EXPECT_TRUE(LoadConfig(sources).ok());
  sources.flags["disk_bytes"] = "0";
  EXPECT_EQ(FieldOfLoading(sources), "write_mode");
  EXPECT_THAT(std::string(LoadConfig(sources).status().message()), HasSubstr("disk_bytes"));
  sources.flags["write_mode"] = "through";
  EXPECT_TRUE(LoadConfig(sources).ok());
}

TEST(Config, ShowsUrlsWithoutTheirPasswords) {
  const auto config = LoadConfig({.flags = {{"redis_url", "redis://user:pepper@host:6379"},
                                            {"catalog_url", "redis://paprika@host"},
                                            {"object_url", "s3://bucket/prefix"}}});
  ASSERT_TRUE(config.ok()) << config.status();
  const std::string shown = PrintConfig(*config);
  EXPECT_THAT(shown, Not(HasSubstr("pepper")));
  EXPECT_THAT(shown, Not(HasSubstr("paprika")));
  EXPECT_THAT(shown, HasSubstr("redis://user:***@host:6379"));
  EXPECT_THAT(shown, HasSubstr("s3://bucket/prefix"));
}

TEST(Config, ReadsQuotasPerNamespace) {
  TempFolder folder;
  const auto config =
      LoadConfig({.file = WriteYaml(folder, "namespace_quotas: {team-a: 2GiB, team-b: 1000}\n")});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->namespace_quotas.at("team-a"), int64_t{2} << 30);
  EXPECT_EQ(config->namespace_quotas.at("team-b"), 1000);
  for (const std::string bad : {"much", "-1", "0", "9999999GiB"})
    EXPECT_EQ(FieldOfLoading({.file = WriteYaml(folder, "namespace_quotas: {team-a: " + bad + "}\n")}),
              "namespace_quotas.team-a")
        << bad;
}

TEST(Config, KeepsSecretsOutOfWhatItPrints) {
  TempFolder folder;
  const auto config =
      LoadConfig({.file = WriteYaml(folder, "default_salt: pepper\nnamespace_salts: {team: paprika}\n")});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->namespace_salts.at("team"), "paprika");
  EXPECT_THAT(PrintConfig(*config), Not(HasSubstr("pepper")));
  EXPECT_THAT(PrintConfig(*config), Not(HasSubstr("paprika")));
}

TEST(Config, WhatItPrintsLoadsAgain) {
  TempFolder folder;
  const auto config =
      LoadConfig({.flags = {{"window", "16"}, {"model", "a \"b\" \\c"}, {"kv_bytes", "3MiB"}}});
  ASSERT_TRUE(config.ok()) << config.status();
  const auto again = LoadConfig({.file = WriteYaml(folder, PrintConfig(*config))});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(PrintConfig(*again), PrintConfig(*config));
  EXPECT_EQ(again->model, "a \"b\" \\c");
}

TEST(Config, EverySettingHasOneNameInEachSource) {
  std::set<std::string> flags, variables;
  for (const Setting& setting : AllSettings()) {
    EXPECT_TRUE(flags.insert(FlagOf(setting)).second);
    EXPECT_TRUE(variables.insert(EnvironmentOf(setting)).second);
    EXPECT_FALSE(setting.help.empty());
  }
}

TEST(Config, TheDocumentedTableIsTheTable) {
  const auto page = ReadFile(std::string(CACHECLIP_SOURCE_DIR) + "/docs/configuration.md");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(*page, HasSubstr(ConfigTable()));
}

}  // namespace
}  // namespace cacheclip
