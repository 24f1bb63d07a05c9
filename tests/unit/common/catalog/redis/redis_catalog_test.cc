#include "common/catalog/redis/redis_catalog.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/status.h"
#include "tests/support/poll.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

RedisServer& TlsRedis() {
  static RedisServer server({.tls = true, .user = "cacheclip", .password = "se:cret@1"});
  return server;
}
RedisCluster& ClusterRedis() {
  static RedisCluster cluster;
  return cluster;
}

std::unique_ptr<Catalog> MakePlain(const Clock* clock) {
  return OpenRedisCatalog(SharedRedis().MakeClient(), UniqueRoot(), clock);
}
std::unique_ptr<Catalog> MakeTls(const Clock* clock) {
  return OpenRedisCatalog(TlsRedis().MakeClient(), UniqueRoot(), clock);
}
std::unique_ptr<Catalog> MakeOnCluster(const Clock* clock) {
  return OpenRedisCatalog(ClusterRedis().MakeClient(), UniqueRoot(), clock);
}

// Without redis-server there is nothing to run the contract on; RedisCatalogTest says so.
std::vector<CatalogFactory> IfInstalled(CatalogFactory factory) {
  if (FindProgram("redis-server").empty()) return {};
  return {std::move(factory)};
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CatalogContract);
INSTANTIATE_TEST_SUITE_P(Redis, CatalogContract, testing::ValuesIn(IfInstalled(MakePlain)));
INSTANTIATE_TEST_SUITE_P(RedisTls, CatalogContract, testing::ValuesIn(IfInstalled(MakeTls)));
INSTANTIATE_TEST_SUITE_P(RedisCluster, CatalogContract, testing::ValuesIn(IfInstalled(MakeOnCluster)));

TEST_F(RedisCatalogTest, SecondProcessSeesEachChangeAtItsNextLookup) {
  const auto reader =
      RedisCatalog::OpenReadOnly({.client = SharedRedis().MakeClient(), .root = root_, .clock = &clock_});
  const std::vector<std::string> ids = {TestChunkId(1)};
  Put("d", {1});
  EXPECT_TRUE(reader->ResolveChunks("docs", ids).value()[0].has_value());
  ASSERT_TRUE(catalog_->DeleteDocument("docs", "d").ok());
  EXPECT_FALSE(reader->ResolveChunks("docs", ids).value()[0].has_value());
}

TEST_F(RedisCatalogTest, ReaderRefusesEveryWrite) {
  Put("d", {1});
  const auto reader = RedisCatalog::OpenReadOnly({.client = client_, .root = root_, .clock = &clock_});
  const TestDocument test = MakeTestDocument("docs", "e", {2});
  const std::vector<std::string> ids = {TestChunkId(1)};
  for (const absl::Status& status :
       {reader->PutNamespace("new").status(), reader->PutPrefix(TestPrefix("docs")),
        reader->PutDocument(test.document, test.chunks).status(),
        reader->DeleteDocument("docs", "d").status(),
        reader->PinChunks("docs", ids, "me", clock_.Now() + absl::Hours(1)),
        reader->UnpinChunks("docs", ids, "me").status(), reader->SweepExpired().status(),
        reader->TrimDocuments({.writer_version = "1.0"}).status(), reader->Repair().status()})
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(reader->GetDocument("docs", "d").value().chunks.size(), 1u);
}

TEST_F(RedisCatalogTest, RootsAreCataloguesOfTheirOwn) {
  Put("d", {1});
  const auto other = OpenRedisCatalog(client_, UniqueRoot(), &clock_);
  EXPECT_TRUE(absl::IsNotFound(other->GetNamespace("docs").status()));
  EXPECT_TRUE(other->ListNamespaces().value().empty());
}

TEST_F(RedisCatalogTest, RootThatWouldBreakKeysIsRefused) {
  for (const std::string& root : std::vector<std::string>{"", "a{b}", "a*", "a b", std::string(65, 'a')}) {
    const absl::Status status = RedisCatalog::Open({.client = client_, .root = root}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << root;
    EXPECT_EQ(FieldOf(status), "root");
  }
}

TEST_F(RedisCatalogTest, NoKeyHasATimeToLive) {
  TestDocument test = MakeTestDocument("docs", "d", {1, 2});
  test.document.expire_time = clock_.Now() + absl::Hours(1);
  Put(test);
  ASSERT_TRUE(
      catalog_->PinChunks("docs", std::vector{TestChunkId(1)}, "me", clock_.Now() + absl::Hours(1)).ok());
  int num_keys = 0;
  ASSERT_TRUE(client_
                  ->Scan(root_ + ":*",
                         [&](const std::string& key) {
                           ++num_keys;
                           EXPECT_EQ(Ask({"TTL", key}).integer, -1) << key;
                           return true;
                         })
                  .ok());
  EXPECT_GT(num_keys, 10);
}

TEST_F(RedisCatalogTest, NothingIsLeftOfANamespaceWithoutDocuments) {
  for (int i = 0; i < 20; ++i) Put("d" + std::to_string(i), {i, i + 1, 300 + i});
  ASSERT_TRUE(catalog_->TrimDocuments({.writer_version = "1.0"}).ok());
  std::vector<std::string> left;
  ASSERT_TRUE(client_
                  ->Scan(root_ + ":*",
                         [&](const std::string& key) {
                           if (!absl::EndsWith(key, "}:info") && !absl::EndsWith(key, "}:prefixes"))
                             left.push_back(key);
                           return true;
                         })
                  .ok());
  EXPECT_THAT(left, testing::UnorderedElementsAre(root_ + ":{*}:namespaces", root_ + ":{*}:layout"));
}

class RedisCatalogServerTest : public testing::Test {
 protected:
  void SetUp() override { CACHECLIP_NEEDS_REDIS(); }
  std::shared_ptr<RedisClient> Client(const RedisServer& server) {
    return MakeRedisClient(server.client_options()).value();
  }
  FakeClock clock_;
};

TEST_F(RedisCatalogServerTest, ServerThatEvictsIsRefused) {
  RedisServer server({.settings = {"maxmemory 50mb", "maxmemory-policy allkeys-lru"}});
  const absl::Status status = RedisCatalog::Open({.client = Client(server)}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(FieldOf(status), "catalog_url");
  EXPECT_THAT(std::string(status.message()), HasSubstr("allkeys-lru"));
}

TEST_F(RedisCatalogServerTest, NobodyListeningIsUnavailableToOpenAndToAReader) {
  RedisClientOptions options{.endpoints = {{"127.0.0.1", FreePort()}}, .cluster_mode = ClusterMode::kNo};
  const std::shared_ptr<RedisClient> client = MakeRedisClient(options).value();
  const RedisCatalogOptions catalog_options{.client = client, .timeout = absl::Milliseconds(200)};
  EXPECT_TRUE(absl::IsUnavailable(RedisCatalog::Open(catalog_options).status()));
  EXPECT_TRUE(absl::IsUnavailable(RedisCatalog::OpenReadOnly(catalog_options)->ListNamespaces().status()));
}

TEST_F(RedisCatalogServerTest, NothingIsLostWhenTheServerIsKilled) {
  RedisServer server({.settings = {"appendonly yes", "appendfsync always"}});
  RedisClientOptions options = server.client_options();
  options.breaker_backoff = options.max_breaker_backoff = absl::Milliseconds(100);
  const auto catalog =
      RedisCatalog::Open(
          {.client = MakeRedisClient(options).value(), .timeout = absl::Seconds(1), .clock = &clock_})
          .value();
  RegisterTestNamespaces(*catalog);
  const TestDocument first = MakeTestDocument("docs", "first", {1, 2}),
                     second = MakeTestDocument("docs", "second", {2, 3});
  ASSERT_TRUE(catalog->PutDocument(first.document, first.chunks).ok());
  ASSERT_TRUE(catalog->PutDocument(second.document, second.chunks).ok());
  ASSERT_TRUE(catalog->DeleteDocument("docs", "first").ok());

  server.Kill();
  EXPECT_TRUE(absl::IsUnavailable(catalog->GetDocument("docs", "second").status()));
  EXPECT_TRUE(absl::IsUnavailable(catalog->PutDocument(first.document, first.chunks).status()));
  server.Restart();

  ASSERT_TRUE(PollUntil([&] { return catalog->GetDocument("docs", "second").ok(); }));
  EXPECT_TRUE(absl::IsNotFound(catalog->GetDocument("docs", "first").status()));
  const std::vector<std::string> ids = {TestChunkId(1), TestChunkId(2), TestChunkId(3)};
  const auto records = catalog->ResolveChunks("docs", ids).value();
  EXPECT_FALSE(records[0].has_value());
  EXPECT_EQ(records[1]->text, "text of chunk 2");
  EXPECT_TRUE(records[2].has_value());
  EXPECT_EQ(catalog->GetPrefix("docs", "").value().token_ids, TestPrefix("docs").token_ids);
  EXPECT_EQ(ProblemsOf(*catalog), "");
}

TEST_F(RedisCatalogServerTest, FullServerRefusesPutsAndStillDeletes) {
  RedisServer server;
  const auto client = server.MakeClient();
  const auto ask = [&](std::vector<std::string> args) { ASSERT_TRUE(client->Execute({.args = args}).ok()); };
  const auto catalog = RedisCatalog::Open({.client = Client(server), .clock = &clock_}).value();
  RegisterTestNamespaces(*catalog);
  const TestDocument test = MakeTestDocument("docs", "d", {1, 2});
  ASSERT_TRUE(catalog->PutDocument(test.document, test.chunks).ok());
  ask({"CONFIG", "SET", "maxmemory", "1"});
  const TestDocument more = MakeTestDocument("docs", "e", {2, 3});
  EXPECT_TRUE(absl::IsResourceExhausted(catalog->PutDocument(more.document, more.chunks).status()));
  EXPECT_EQ(catalog->DeleteDocument("docs", "d").value().size(), 2u);
  ask({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(ProblemsOf(*catalog), "");
  EXPECT_TRUE(catalog->PutDocument(more.document, more.chunks).ok());
}

}  // namespace
}  // namespace cacheclip
