#include "common/redis/redis_options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/status.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using Endpoints = std::vector<RedisEndpoint>;

TEST(RedisUrl, NamesHostPortAndDatabase) {
  const auto options = ParseRedisUrl("redis://cache:7000/3");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->endpoints, (Endpoints{{"cache", 7000}}));
  EXPECT_EQ(options->database, 3);
  EXPECT_FALSE(options->tls.enabled);
  EXPECT_EQ(options->password, "");
}

TEST(RedisUrl, PortIsOptionalAndSeveralHostsMayBeNamed) {
  const auto options = ParseRedisUrl("rediss://one,two:7001,[::1]:7002,[fe80::2]");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->endpoints, (Endpoints{{"one", 6379}, {"two", 7001}, {"::1", 7002}, {"fe80::2", 6379}}));
  EXPECT_TRUE(options->tls.enabled);
  EXPECT_EQ(options->endpoints[2].ToString(), "[::1]:7002");
}

TEST(RedisUrl, CredentialsArePercentDecoded) {
  const auto both = ParseRedisUrl("redis://worker:p%40ss%2Fword@cache");
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->user, "worker");
  EXPECT_EQ(both->password, "p@ss/word");
  const auto alone = ParseRedisUrl("redis://:secret@cache");
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(alone->user, "");
  EXPECT_EQ(alone->password, "secret");
  EXPECT_EQ(ParseRedisUrl("redis://secret@cache")->password, "secret");
}

TEST(RedisUrl, ErrorsNameTheFieldAndNeverThePassword) {
  for (const char* url :
       {"", "http://h", "redis://", "redis://h:0", "redis://h:65536", "redis://h:port", "redis://h/db",
        "redis://h/-1", "redis://h/16000", "redis://a,,b", "redis://[::1", "redis://[::1]x",
        "redis://u:hunter2%@h", "redis://u:hunter2%4@h", "redis://u:@h", "redis://u:hunter2@h:no"}) {
    const auto options = ParseRedisUrl(url, "catalog_url");
    ASSERT_TRUE(absl::IsInvalidArgument(options.status())) << url;
    EXPECT_EQ(FieldOf(options.status()), "catalog_url") << url;
    EXPECT_FALSE(absl::StrContains(options.status().ToString(), "hunter2")) << options.status();
  }
}

TEST(RedisPassword, IsTheFirstLineOfTheFile) {
  const TempFolder folder;
  const std::string path = folder.path() + "/password";
  RedisClientOptions options;
  std::ofstream(path) << "secret\n";
  ASSERT_TRUE(ReadRedisPassword(path, "redis_password_file", options).ok());
  EXPECT_EQ(options.password, "secret");
  std::ofstream(path) << "\n";
  EXPECT_EQ(FieldOf(ReadRedisPassword(path, "redis_password_file", options)), "redis_password_file");
  EXPECT_EQ(FieldOf(ReadRedisPassword("/nowhere", "redis_password_file", options)), "redis_password_file");
}

TEST(RedisOptions, ContradictionsAreRefusedByName) {
  const RedisClientOptions good{.endpoints = {{"h"}}};
  ASSERT_TRUE(ValidateRedisOptions(good).ok());
  const auto field = [&](auto change) {
    RedisClientOptions options = good;
    change(options);
    return FieldOf(ValidateRedisOptions(options));
  };
  EXPECT_EQ(field([](auto& o) { o.endpoints.clear(); }), "endpoints");
  EXPECT_EQ(field([](auto& o) { o.user = "u"; }), "password");
  EXPECT_EQ(field([](auto& o) { o.database = 1, o.cluster_mode = ClusterMode::kYes; }), "database");
  EXPECT_EQ(field([](auto& o) { o.tls.enabled = true, o.tls.key_file = "k"; }), "tls.certificate_file");
  EXPECT_EQ(field([](auto& o) { o.tls.ca_file = "ca"; }), "tls.enabled");
  EXPECT_EQ(field([](auto& o) { o.connections_per_node = 0; }), "connections_per_node");
  EXPECT_EQ(field([](auto& o) { o.timeout = absl::ZeroDuration(); }), "timeout");
  EXPECT_EQ(field([](auto& o) { o.max_bytes_in_flight = 0; }), "max_bytes_in_flight");
}

}  // namespace
}  // namespace cacheclip
