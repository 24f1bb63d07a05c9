// Several ingestion replicas on one catalogue: whatever they do to the same documents at the same time, the
// references are right in the end and nothing that is out of use was forgotten.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/child_process.h"
#include "tests/support/poll.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

constexpr int kChunks = 12;
constexpr int kWriters = 4;

// Puts, deletes, sweeps and trims a few documents of two namespaces that share chunk ids. Reports what was
// released; false on an error other than NOT_FOUND and, if tolerated, UNAVAILABLE.
bool WriteAtRandom(Catalog& catalog, uint32_t seed, int num_steps, bool tolerate_unavailable,
                   const std::function<void(const std::vector<std::string>&)>& on_released) {
  std::mt19937 random(seed);
  const auto accept = [&](const absl::Status& status) {
    return status.ok() || absl::IsNotFound(status) || (tolerate_unavailable && absl::IsUnavailable(status));
  };
  for (int i = 0; i < num_steps; ++i) {
    const std::string space = random() % 2 == 0 ? "docs" : "other";
    const std::string id = absl::StrCat("d", random() % 3);
    const uint32_t kind = random() % 10;
    if (kind < 6) {
      std::vector<int> numbers;
      for (size_t k = 1 + random() % 6; k > 0; --k) numbers.push_back(static_cast<int>(random() % kChunks));
      const TestDocument test = MakeTestDocument(space, id, numbers);
      const auto released = catalog.PutDocument(test.document, test.chunks);
      if (!accept(released.status())) return false;
      if (released.ok()) on_released(*released);
    } else if (kind < 9) {
      const auto released = catalog.DeleteDocument(space, id);
      if (!accept(released.status())) return false;
      if (released.ok()) on_released(*released);
    } else {
      const auto removal = random() % 2 == 0
                               ? catalog.SweepExpired()
                               : catalog.TrimDocuments({.namespace_name = space, .writer_version = "1.0"});
      if (!accept(removal.status())) return false;
      if (removal.ok()) on_released(removal->released_chunk_ids);
    }
  }
  return true;
}

class RedisCatalogWritersTest : public RedisCatalogTest {
 protected:
  // Brings the catalogue to rest; then it must be sound, with no leftovers, and what no document uses any
  // more must have been reported to somebody.
  void ExpectConsistent(RedisCatalog& catalog, std::set<std::string> released) {
    clock_.Advance(absl::Hours(1));
    const Removal swept = catalog.SweepExpired().value();
    released.insert(swept.released_chunk_ids.begin(), swept.released_chunk_ids.end());
    EXPECT_EQ(ProblemsOf(catalog), "");
    EXPECT_EQ(catalog.Verify().value().num_leftovers, 0);
    std::vector<std::string> ids;
    for (int number = 0; number < kChunks; ++number) ids.push_back(TestChunkId(number));
    const auto here = catalog.ResolveChunks("docs", ids).value(),
               there = catalog.ResolveChunks("other", ids).value();
    for (int number = 0; number < kChunks; ++number)
      EXPECT_TRUE(here[number] || there[number] || released.contains(ids[number])) << number;
  }
};

TEST_F(RedisCatalogWritersTest, ThreadsOnTheSameDocumentsLeaveRightReferences) {
  for (uint32_t round = 0; round < 5; ++round) {
    std::mutex mutex;
    std::set<std::string> released;
    std::atomic<int> num_failed = 0;
    std::vector<std::thread> writers;
    for (uint32_t i = 0; i < kWriters; ++i)
      writers.emplace_back([&, i] {
        const auto catalog = OpenRedisCatalog(SharedRedis().MakeClient(), root_, &clock_);
        num_failed += !WriteAtRandom(*catalog, round * 100 + i, 120, false, [&](const auto& ids) {
          std::lock_guard lock(mutex);
          released.insert(ids.begin(), ids.end());
        });
      });
    for (std::thread& writer : writers) writer.join();
    EXPECT_EQ(num_failed, 0);
    ExpectConsistent(*catalog_, released);
  }
}

TEST_F(RedisCatalogWritersTest, ProcessesOnTheSameDocumentsLeaveRightReferences) {
  SharedRedis();
  std::vector<std::unique_ptr<ChildProcess>> writers;
  for (uint32_t i = 0; i < kWriters; ++i)
    writers.push_back(std::make_unique<ChildProcess>([&, i](const ChildProcess::Channel&) {
      const auto catalog = OpenRedisCatalog(SharedRedis().MakeClient(), root_, &clock_);
      if (!WriteAtRandom(*catalog, 1000 + i, 200, false, [](const auto&) {})) std::abort();
    }));
  for (const auto& writer : writers) EXPECT_TRUE(writer->Finish());
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(catalog_->SweepExpired().ok());
  EXPECT_EQ(ProblemsOf(*catalog_), "");
  EXPECT_EQ(catalog_->Verify().value().num_leftovers, 0);
}

TEST_F(RedisCatalogWritersTest, WritersGoOnWhileTheirSlotMoves) {
  RedisCluster cluster;
  const std::string root = UniqueRoot();
  const auto catalog = OpenRedisCatalog(cluster.MakeClient(), root, &clock_);
  RegisterTestNamespaces(*catalog);
  std::set<std::string> released;
  const auto remember = [&](const std::vector<std::string>& ids) { released.insert(ids.begin(), ids.end()); };
  ASSERT_TRUE(WriteAtRandom(*catalog, 1, 50, false, remember));
  std::atomic<bool> is_done = false, is_sound = true;
  std::thread writer([&] {
    for (uint32_t seed = 2; !is_done; ++seed)
      if (!WriteAtRandom(*catalog, seed, 5, true, remember)) is_sound = false;
  });
  for (int move = 0; move < 3; ++move) cluster.MigrateSlotOf(NamespaceKeys(root, "docs").info());
  is_done = true;
  writer.join();
  EXPECT_TRUE(is_sound);
  ExpectConsistent(*catalog, released);
}

// Every replica has what its primary has.
bool IsReplicated(RedisClient& client) {
  const auto infos = client.ExecuteOnEveryPrimary({.args = {"INFO", "replication"}, .key_index = 0}, {});
  if (!infos.ok()) return false;
  return std::all_of(infos->begin(), infos->end(), [](const RedisReply& info) {
    const std::string& text = info.text;
    const size_t own = text.find("master_repl_offset:"), replica = text.find(",offset=");
    if (own == std::string::npos || replica == std::string::npos) return false;
    return std::atoll(&text[own] + 19) == std::atoll(&text[replica] + 8);
  });
}

TEST_F(RedisCatalogWritersTest, CatalogueSurvivesItsPrimary) {
  RedisCluster cluster;
  const std::string root = UniqueRoot();
  const std::shared_ptr<RedisClient> client = cluster.MakeClient();
  const auto catalog = OpenRedisCatalog(client, root, &clock_);
  RegisterTestNamespaces(*catalog);
  std::set<std::string> released;
  const auto remember = [&](const std::vector<std::string>& ids) { released.insert(ids.begin(), ids.end()); };
  ASSERT_TRUE(WriteAtRandom(*catalog, 1, 60, false, remember));
  const TestDocument test = MakeTestDocument("docs", "d0", {1, 2, 3});
  remember(catalog->PutDocument(test.document, test.chunks).value());
  ASSERT_TRUE(PollUntil([&] { return IsReplicated(*client); }));

  cluster.PrimaryOf(NamespaceKeys(root, "docs").info()).Kill();
  ASSERT_TRUE(PollUntil([&] { return catalog->GetDocument("docs", "d0").ok(); }));
  EXPECT_EQ(catalog->GetDocument("docs", "d0").value().chunks, test.document.chunks);
  ASSERT_TRUE(PollUntil([&] { return catalog->ListNamespaces().ok() && catalog->Verify().ok(); }));
  ASSERT_TRUE(WriteAtRandom(*catalog, 2, 60, false, remember));
  ExpectConsistent(*catalog, released);
}

}  // namespace
}  // namespace cacheclip
