// A test's catalogue on a Redis server that all tests of the executable share; each test has keys of its own.
// Fixtures begin with CACHECLIP_NEEDS_REDIS() in SetUp(). Belongs to one test.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/catalog/redis/redis_catalog.h"
#include "tests/support/catalog_contract.h"
#include "tests/support/redis_server.h"

namespace cacheclip {

// Started when first asked for, killed at the end of the program.
inline RedisServer& SharedRedis() {
  static RedisServer server;
  return server;
}

inline std::string UniqueRoot() {
  static int number = 0;
  return absl::StrCat("test", ::getpid(), ".", number++);
}

// Aborts the test program if the catalogue cannot be opened.
inline std::unique_ptr<RedisCatalog> OpenRedisCatalog(std::shared_ptr<RedisClient> client,
                                                      const std::string& root, const Clock* clock) {
  return RedisCatalog::Open({.client = std::move(client), .root = root, .clock = clock}).value();
}

inline void RegisterTestNamespaces(Catalog& catalog,
                                   const std::vector<std::string>& names = {"docs", "other"}) {
  for (const std::string& name : names)
    if (!catalog.PutNamespace(name).ok() || !catalog.PutPrefix(TestPrefix(name)).ok()) std::abort();
}

inline std::string ProblemsOf(RedisCatalog& catalog) {
  const CatalogCheck check = catalog.Verify().value();
  return absl::StrCat(absl::StrJoin(check.problems, "\n"));
}

class RedisCatalogTest : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    client_ = SharedRedis().MakeClient();
    catalog_ = OpenRedisCatalog(client_, root_, &clock_);
    server_ = std::make_unique<CatalogServer>(client_.get(), root_, absl::Seconds(30), &clock_);
    RegisterTestNamespaces(*catalog_);
  }
  // What holds when a test is over, whatever it did.
  void TearDown() override {
    if (catalog_ == nullptr) return;
    EXPECT_EQ(ProblemsOf(*catalog_), "");
  }

  std::vector<std::string> Put(const TestDocument& test) {
    return catalog_->PutDocument(test.document, test.chunks).value();
  }
  std::vector<std::string> Put(const std::string& document_id, const std::vector<int>& chunk_numbers) {
    return Put(MakeTestDocument("docs", document_id, chunk_numbers));
  }
  bool Resolves(int chunk_number, const std::string& namespace_name = "docs") {
    const std::vector<std::string> ids = {TestChunkId(chunk_number)};
    return catalog_->ResolveChunks(namespace_name, ids).value()[0].has_value();
  }
  RedisReply Ask(std::vector<std::string> args) {
    return client_->Execute({.args = std::move(args)}).value();
  }

  FakeClock clock_;
  const std::string root_ = UniqueRoot();
  std::shared_ptr<RedisClient> client_;
  std::unique_ptr<RedisCatalog> catalog_;
  std::unique_ptr<CatalogServer> server_;
};

}  // namespace cacheclip
