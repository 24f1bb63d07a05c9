// Writers that are killed at any moment: readers see the old or the new version of their document, the
// catalogue is sound, another writer goes on, and a sweep closes what the dead one left.
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/support/child_process.h"
#include "tests/support/poll.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

constexpr int kChunks = 300;  // two batches

TestDocument Version(int first) {
  std::vector<int> numbers;
  for (int i = 0; i < kChunks; ++i) numbers.push_back(first + i);
  return MakeTestDocument("docs", "d", numbers);
}

class RedisCatalogProcessTest : public RedisCatalogTest {
 protected:
  // How many commands the server has executed: progress of a writer that needs no clock.
  int64_t NumCommands() {
    const std::string stats = Ask({"INFO", "commandstats"}).text;
    int64_t total = 0;
    for (const char* name : {"evalsha", "eval", "zadd", "lindex"}) {
      const size_t at = stats.find(absl::StrCat("cmdstat_", name, ":calls="));
      if (at == std::string::npos) continue;
      const size_t begin = stats.find('=', at) + 1;
      int64_t calls = 0;
      EXPECT_TRUE(absl::SimpleAtoi(stats.substr(begin, stats.find(',', begin) - begin), &calls));
      total += calls;
    }
    return total;
  }
  // Sees one version of the document whole, or none.
  void ExpectOneVersion(const TestDocument& old_version, const TestDocument& new_version) {
    const auto document = catalog_->GetDocument("docs", "d");
    std::vector<std::string> ids;
    for (int i = 0; i < 2 * kChunks; ++i) ids.push_back(TestChunkId(i));
    const auto records = catalog_->ResolveChunks("docs", ids).value();
    const bool is_old = document.ok() && document->chunks == old_version.document.chunks;
    const bool is_new = document.ok() && document->chunks == new_version.document.chunks;
    ASSERT_TRUE(is_old || is_new || absl::IsNotFound(document.status())) << document.status();
    for (int i = 0; i < 2 * kChunks; ++i)
      ASSERT_EQ(records[i].has_value(),
                (is_old && i < kChunks) || (is_new && i >= kChunks / 2 && i < kChunks + kChunks / 2))
          << i;
  }
};

TEST_F(RedisCatalogProcessTest, KillAtAnyPointLeavesASoundCatalogue) {
  const TestDocument old_version = Version(0), new_version = Version(kChunks / 2);
  std::mt19937 random(42);
  int num_cut_short = 0;  // rounds in which the writer died in the middle of something
  for (int round = 0; round < 50; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    {
      ChildProcess writer([&](const ChildProcess::Channel& channel) {
        const auto catalog = OpenRedisCatalog(SharedRedis().MakeClient(), root_, &clock_);
        channel.Send();
        for (;;) {
          if (!catalog->PutDocument(old_version.document, old_version.chunks).ok()) std::abort();
          if (!catalog->PutDocument(new_version.document, new_version.chunks).ok()) std::abort();
          if (!catalog->DeleteDocument("docs", "d").ok()) std::abort();
        }
      });
      ASSERT_TRUE(writer.channel().Wait());
      const int64_t limit = NumCommands() + static_cast<int64_t>(random() % 2500);
      ASSERT_TRUE(PollUntil([&] { return NumCommands() >= limit; }));
      writer.Kill();
    }
    ExpectOneVersion(old_version, new_version);
    ASSERT_EQ(ProblemsOf(*catalog_), "");
    num_cut_short += catalog_->Verify().value().num_leftovers > 0;
    if (round % 2 == 0) {  // a restarted writer does not wait for a sweep
      Put(new_version);
      ASSERT_EQ(catalog_->GetDocument("docs", "d").value().chunks, new_version.document.chunks);
    }
    clock_.Advance(absl::Hours(1));
    ASSERT_TRUE(catalog_->SweepExpired().ok());
    const CatalogCheck check = catalog_->Verify().value();
    ASSERT_EQ(ProblemsOf(*catalog_), "");
    ASSERT_EQ(check.num_leftovers, 0);
    ASSERT_EQ(check.num_holds, check.num_chunks);
  }
  EXPECT_GT(num_cut_short, 10);
  RecordProperty("num_cut_short", num_cut_short);
}

TEST_F(RedisCatalogProcessTest, KilledDeleteIsFinishedByTheNextSweep) {
  for (int round = 0; round < 10; ++round) {
    const TestDocument test = Version(0);
    Put(test);
    {
      ChildProcess writer([&](const ChildProcess::Channel& channel) {
        const auto catalog = OpenRedisCatalog(SharedRedis().MakeClient(), root_, &clock_);
        channel.Send();
        catalog->DeleteDocument("docs", "d").status().IgnoreError();  // nobody hears what it returned
        channel.Wait();
      });
      ASSERT_TRUE(writer.channel().Wait());
      ASSERT_TRUE(PollUntil([&] { return absl::IsNotFound(catalog_->GetDocument("docs", "d").status()); }));
      writer.Kill();  // in the middle of cleaning up, or behind it
    }
    ASSERT_TRUE(catalog_->SweepExpired().ok());
    ASSERT_EQ(ProblemsOf(*catalog_), "");
    ASSERT_EQ(catalog_->Verify().value().num_holds, 0);
  }
  EXPECT_FALSE(Resolves(0));
}

}  // namespace
}  // namespace cacheclip
