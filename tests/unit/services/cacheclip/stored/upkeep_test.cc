#include "services/cacheclip/stored/upkeep.h"

#include <filesystem>
#include <fstream>
#include <memory>

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/catalog/in_memory_catalog.h"
#include "common/catalog/sqlite_catalog.h"
#include "common/store/disk_chunk_store.h"
#include "common/store/memory_chunk_store.h"
#include "tests/support/catalog_contract.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

void NoProgress(const std::string&, int64_t, int64_t) {}

// Two tiers and a catalogue in memory; chunks 1 … 3 belong to two documents, 4 to nobody.
class Upkeep : public testing::Test {
 protected:
  Upkeep() {
    stored_.tiers = {{fast_, Tier::kDisk}, {last_, Tier::kObject, /*is_remote=*/true}};
    stored_.catalog = std::make_unique<InMemoryCatalog>(&clock_);
    for (const char* name : {"docs", "other"}) {
      EXPECT_TRUE(stored_.catalog->PutNamespace(name).ok());
      EXPECT_TRUE(stored_.catalog->PutPrefix(TestPrefix(name)).ok());
    }
    Put("docs", "a", {1, 2});
    Put("other", "b", {2, 3});
    for (int seed = 1; seed <= 4; ++seed) EXPECT_TRUE(fast_->Put(MakeTestChunk(seed)).ok());
    for (int seed = 1; seed <= 2; ++seed) EXPECT_TRUE(last_->Put(MakeTestChunk(seed)).ok());
  }

  void Put(const std::string& namespace_name, const std::string& id, const std::vector<int>& seeds) {
    Document document{
        .namespace_name = namespace_name, .document_id = id, .prefix_id = "abc123", .writer_version = "1.0"};
    std::vector<ChunkRecord> records;
    for (const int seed : seeds) {
      const std::string chunk_id = MakeTestChunk(seed)->key().ToHex();
      document.chunks.push_back({chunk_id, 0, 1});
      records.push_back({.namespace_name = namespace_name,
                         .chunk_id = chunk_id,
                         .prefix_id = "abc123",
                         .text = "x",
                         .num_tokens = 1});
    }
    EXPECT_TRUE(stored_.catalog->PutDocument(document, records).ok());
  }
  bool Holds(ChunkStore& store, int seed) { return store.Contains(MakeTestChunk(seed)->key()).value(); }

  FakeClock clock_;
  std::shared_ptr<MemoryChunkStore> fast_ = std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{});
  std::shared_ptr<MemoryChunkStore> last_ = std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{});
  Stored stored_;
};

TEST_F(Upkeep, SurveySaysHowMuchIsHeldForWhom) {
  const auto references = ReadReferences(*stored_.catalog);
  ASSERT_TRUE(references.ok()) << references.status();
  EXPECT_EQ(references->namespaces, (std::vector<std::string>{"docs", "other"}));
  const auto survey = SurveyTier(stored_.tiers[0], *references);
  ASSERT_TRUE(survey.ok()) << survey.status();
  EXPECT_EQ(survey->all.chunks, 4);
  EXPECT_EQ(survey->by_namespace[0].chunks, 2);
  EXPECT_EQ(survey->by_namespace[1].chunks, 2) << "a shared chunk counts for each";
  EXPECT_EQ(survey->unreferenced.chunks, 1);
  EXPECT_EQ(survey->unreferenced.bytes, MakeTestChunk(4)->total_bytes());
  EXPECT_EQ(survey->missing, 0);
  EXPECT_EQ(SurveyTier(stored_.tiers[1], *references)->missing, 1);
}

TEST_F(Upkeep, RepairCopiesWhatTheLastTierLacksAndADryRunOnlyCounts) {
  const References references = ReadReferences(*stored_.catalog).value();
  const auto dry = RepairLastTier(stored_, references, /*is_dry_run=*/true, NoProgress);
  EXPECT_EQ(dry->copied, 1);
  EXPECT_FALSE(Holds(*last_, 3));
  const auto repaired = RepairLastTier(stored_, references, /*is_dry_run=*/false, NoProgress);
  EXPECT_EQ(repaired->copied, 1);
  EXPECT_TRUE(Holds(*last_, 3));
  EXPECT_FALSE(Holds(*last_, 4)) << "nobody refers to it";
  EXPECT_EQ(RepairLastTier(stored_, references, false, NoProgress)->missing, 0);
}

TEST_F(Upkeep, RepairSaysWhatIsNowhere) {
  ASSERT_TRUE(fast_->Delete(MakeTestChunk(3)->key()).ok());
  const auto outcome = RepairLastTier(stored_, ReadReferences(*stored_.catalog).value(), false, NoProgress);
  EXPECT_EQ(outcome->missing, 1);
  EXPECT_EQ(outcome->not_held, 1);
}

TEST_F(Upkeep, VerifyingCountsTheCatalogueAndChangesNothing) {
  const auto findings = VerifyCatalog(stored_, /*repairs=*/false);
  ASSERT_TRUE(findings.ok()) << findings.status();
  EXPECT_EQ(findings->check.num_documents, 2);
  EXPECT_EQ(findings->check.num_chunks, 4) << "chunk 2 in two namespaces";
  EXPECT_EQ(findings->check.num_problems, 0);
  EXPECT_FALSE(findings->is_repaired);
}

TEST_F(Upkeep, RepairingDeletesTheBytesOfWhatHasExpired) {
  Document document{.namespace_name = "docs",
                    .document_id = "c",
                    .prefix_id = "abc123",
                    .writer_version = "1.0",
                    .expire_time = clock_.Now() + absl::Hours(1)};
  document.chunks.push_back({MakeTestChunk(4)->key().ToHex(), 0, 1});
  const ChunkRecord record{.namespace_name = "docs",
                           .chunk_id = MakeTestChunk(4)->key().ToHex(),
                           .prefix_id = "abc123",
                           .text = "x",
                           .num_tokens = 1};
  ASSERT_TRUE(stored_.catalog->PutDocument(document, std::vector{record}).ok());
  clock_.Advance(absl::Hours(2));
  const auto findings = VerifyCatalog(stored_, /*repairs=*/true);
  ASSERT_TRUE(findings.ok()) << findings.status();
  EXPECT_TRUE(findings->is_repaired);
  EXPECT_EQ(findings->released, 1);
  EXPECT_FALSE(Holds(*fast_, 4));
  EXPECT_TRUE(Holds(*fast_, 1));
}

TEST_F(Upkeep, ACatalogueThatIsNotThereYetIsSaidSo) {
  stored_.catalog = SqliteCatalog::OpenReadOnly({.path = "/nowhere/catalog.sqlite"});
  const auto findings = VerifyCatalog(stored_, /*repairs=*/false);
  ASSERT_TRUE(findings.ok()) << findings.status();
  EXPECT_TRUE(absl::IsUnavailable(findings->status)) << findings->status;
}

TEST_F(Upkeep, PurgingANamespaceKeepsWhatOthersUse) {
  const PurgeFilter filter{.namespace_name = "docs"};
  const auto dry = Purge(stored_, filter, /*is_dry_run=*/true, NoProgress);
  ASSERT_TRUE(dry.ok()) << dry.status();
  EXPECT_TRUE(stored_.catalog->GetDocument("docs", "a").ok());
  const auto outcome = Purge(stored_, filter, /*is_dry_run=*/false, NoProgress);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->documents, 1);
  EXPECT_EQ(outcome->chunks, 2) << "chunk 1 in two tiers";
  EXPECT_EQ(outcome->chunks, dry->chunks);
  EXPECT_EQ(outcome->bytes, dry->bytes);
  EXPECT_FALSE(Holds(*fast_, 1));
  EXPECT_FALSE(Holds(*last_, 1));
  EXPECT_TRUE(Holds(*fast_, 2));
  EXPECT_TRUE(Holds(*fast_, 4));
  EXPECT_TRUE(absl::IsNotFound(stored_.catalog->GetDocument("docs", "a").status()));
  EXPECT_TRUE(stored_.catalog->GetDocument("other", "b").ok());
}

TEST_F(Upkeep, PurgingByWriterVersionAndTimeMeetsEveryCondition) {
  EXPECT_EQ(Purge(stored_, {.writer_version = "2.0"}, true, NoProgress)->documents, 0);
  EXPECT_EQ(Purge(stored_, {.writer_version = "1.0"}, true, NoProgress)->documents, 2);
  EXPECT_EQ(
      Purge(stored_, {.writer_version = "1.0", .updated_before = clock_.Now()}, true, NoProgress)->documents,
      0);
}

TEST_F(Upkeep, PurgingByTimeRangeTakesWhatLiesWithinIt) {
  const absl::Time first = clock_.Now();
  clock_.Advance(absl::Hours(1));
  Put("docs", "later", {4});
  const auto count = [&](absl::Time from, absl::Time before) {
    return Purge(stored_, {.updated_from = from, .updated_before = before}, true, NoProgress)->documents;
  };
  EXPECT_EQ(count(first, absl::InfiniteFuture()), 3);
  EXPECT_EQ(count(first + absl::Minutes(1), absl::InfiniteFuture()), 1);
  EXPECT_EQ(count(first, first + absl::Minutes(1)), 2);
  EXPECT_EQ(count(first + absl::Minutes(1), first + absl::Minutes(2)), 0);
}

TEST_F(Upkeep, SaysWhichDocumentsUseAChunk) {
  const auto shared = FindUsers(*stored_.catalog, MakeTestChunk(2)->key());
  ASSERT_TRUE(shared.ok()) << shared.status();
  EXPECT_EQ(shared->namespaces, (std::vector<std::string>{"docs", "other"}));
  EXPECT_EQ(shared->documents, (std::vector<std::string>{"docs/a", "other/b"}));
  EXPECT_EQ(shared->num_documents, 2);
  EXPECT_EQ(FindUsers(*stored_.catalog, MakeTestChunk(4)->key())->num_documents, 0);
}

TEST_F(Upkeep, VerifyingRemovesADamagedChunkOnlyWhenItRepairs) {
  const TempFolder folder;
  const std::shared_ptr<DiskChunkStore> disk = DiskChunkStore::Open({.folder = folder.path()}).value();
  const auto chunk = MakeTestChunk(1);
  ASSERT_TRUE(disk->Put(chunk).ok());
  const std::string id = chunk->key().ToHex();
  const std::string path = folder.path() + "/objects/" + id.substr(0, 2) + "/" + id.substr(2) + ".ccv";
  ASSERT_TRUE(std::filesystem::exists(path));
  std::fstream(path, std::ios::in | std::ios::out).seekp(chunk->total_bytes() - 1).put('\x5a');
  const auto used = std::filesystem::last_write_time(path);

  const StoreTier tier{disk, Tier::kDisk};
  EXPECT_EQ(VerifyTier(tier, /*repairs=*/false, NoProgress)->damaged.size(), 1);
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_EQ(std::filesystem::last_write_time(path), used) << "looking is no use";
  EXPECT_EQ(VerifyTier(tier, /*repairs=*/true, NoProgress)->damaged.size(), 1);
  EXPECT_FALSE(std::filesystem::exists(path));
}

// Lists the documents of "docs" and then breaks off.
class CatalogThatBreaksOff : public InMemoryCatalog {
 public:
  using InMemoryCatalog::InMemoryCatalog;
  absl::StatusOr<DocumentPage> ListDocuments(std::string_view name, int page_size,
                                             std::string_view page_token) override {
    if (name != "docs") return absl::UnavailableError("Redis is gone");
    return InMemoryCatalog::ListDocuments(name, page_size, page_token);
  }
};

TEST_F(Upkeep, APurgeWhoseCatalogueBreaksOffRemovesNothing) {
  stored_.catalog = std::make_unique<CatalogThatBreaksOff>(&clock_);
  for (const char* name : {"docs", "other"}) {
    ASSERT_TRUE(stored_.catalog->PutNamespace(name).ok());
    ASSERT_TRUE(stored_.catalog->PutPrefix(TestPrefix(name)).ok());
  }
  Put("docs", "a", {1, 2});
  Put("other", "b", {2, 3});
  for (const PurgeFilter& filter : {PurgeFilter{.unreferenced = true}, PurgeFilter{.all_documents = true},
                                    PurgeFilter{.namespace_name = "docs"}}) {
    const absl::Status status = Purge(stored_, filter, /*is_dry_run=*/false, NoProgress).status();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_EQ(FieldOf(status), "catalog_url");
    for (int seed = 1; seed <= 4; ++seed) EXPECT_TRUE(Holds(*fast_, seed)) << seed;
    EXPECT_TRUE(stored_.catalog->GetDocument("docs", "a").ok());
  }
  const auto references = ReadReferences(*stored_.catalog);
  ASSERT_TRUE(references.ok()) << references.status();
  EXPECT_TRUE(absl::IsUnavailable(references->status)) << "said, not passed over";
  EXPECT_TRUE(references->users.empty());
}

TEST_F(Upkeep, AnEmptyCatalogueBesideFullTiersIsNotBelieved) {
  stored_.catalog = std::make_unique<InMemoryCatalog>(&clock_);
  PurgeFilter filter{.unreferenced = true};
  for (const bool is_dry_run : {true, false}) {
    const absl::Status status = Purge(stored_, filter, is_dry_run, NoProgress).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_EQ(FieldOf(status), "catalog_url");
    EXPECT_TRUE(Holds(*last_, 1));
  }
  filter.even_if_catalog_is_empty = true;
  EXPECT_EQ(Purge(stored_, filter, /*is_dry_run=*/false, NoProgress)->chunks, 6);
  EXPECT_FALSE(Holds(*last_, 1));
}

TEST_F(Upkeep, PurgingTheUnreferencedLeavesDocumentsAlone) {
  const auto outcome = Purge(stored_, {.unreferenced = true}, /*is_dry_run=*/false, NoProgress);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->documents, 0);
  EXPECT_EQ(outcome->chunks, 1);
  EXPECT_FALSE(Holds(*fast_, 4));
  EXPECT_TRUE(Holds(*fast_, 1));
}

}  // namespace
}  // namespace cacheclip
