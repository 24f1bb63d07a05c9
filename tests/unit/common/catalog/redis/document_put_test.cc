#include "common/catalog/redis/document_put.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "common/catalog/redis/catalog_keys.h"
#include "common/catalog/redis/document_removal.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class DocumentPutTest : public RedisCatalogTest {
 protected:
  absl::Status Stage(const TestDocument& test, const std::string& revision) {
    return StageDocument(*server_, test.document, test.chunks, revision);
  }
  double HoldOf(int chunk_number, const std::string& namespace_name) {
    const RedisReply score = Ask({"ZSCORE", HoldersKey(root_, TestChunkId(chunk_number)), namespace_name});
    return score.is_nil() ? -1 : std::stod(score.text);
  }
};

TestDocument ManyChunks(const std::string& document_id, int first, int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(first + i);
  return MakeTestDocument("docs", document_id, numbers);
}

TEST_F(DocumentPutTest, RevisionsAreSixteenDigitsAndDiffer) {
  EXPECT_EQ(RandomRevision().size(), 16u);
  EXPECT_NE(RandomRevision(), RandomRevision());
}

TEST_F(DocumentPutTest, StagedDocumentIsSeenByNobodyAndHeld) {
  ASSERT_TRUE(Stage(MakeTestDocument("docs", "d", {1}), RandomRevision()).ok());
  EXPECT_FALSE(Resolves(1));
  EXPECT_TRUE(absl::IsNotFound(catalog_->GetDocument("docs", "d").status()));
  EXPECT_THAT(catalog_->ListDocuments("docs", 0, "").value().documents, IsEmpty());
  EXPECT_GE(HoldOf(1, "docs"), 1);
  EXPECT_EQ(HoldOf(1, "other"), -1);
}

TEST_F(DocumentPutTest, StagedChunkIsNotReleasedByANeighbour) {
  Put(MakeTestDocument("other", "a", {1}));
  const TestDocument test = MakeTestDocument("docs", "d", {1});
  ASSERT_TRUE(Stage(test, "00000000000000aa").ok());
  EXPECT_THAT(catalog_->DeleteDocument("other", "a").value(), IsEmpty());
  EXPECT_EQ(CommitDocument(*server_, test.document, "00000000000000aa").value(), "");
  EXPECT_THAT(catalog_->DeleteDocument("docs", "d").value(), ElementsAre(TestChunkId(1)));
}

TEST_F(DocumentPutTest, ChunkStagedTwiceInItsNamespaceOutlivesTheFirst) {
  const TestDocument first = MakeTestDocument("docs", "a", {1}), second = MakeTestDocument("docs", "b", {1});
  Put(first);
  ASSERT_TRUE(Stage(second, "00000000000000bb").ok());
  EXPECT_THAT(catalog_->DeleteDocument("docs", "a").value(), IsEmpty());  // staged references count
  EXPECT_FALSE(Resolves(1));
  ASSERT_TRUE(CommitDocument(*server_, second.document, "00000000000000bb").ok());
  EXPECT_TRUE(Resolves(1));
}

TEST_F(DocumentPutTest, CommitSaysWhatItReplaced) {
  const TestDocument test = MakeTestDocument("docs", "d", {1});
  for (const std::string revision : {"0000000000000001", "0000000000000002"})
    ASSERT_TRUE(Stage(test, revision).ok());
  EXPECT_EQ(CommitDocument(*server_, test.document, "0000000000000001").value(), "");
  EXPECT_EQ(CommitDocument(*server_, test.document, "0000000000000002").value(), "0000000000000001");
}

TEST_F(DocumentPutTest, UnknownPrefixIsNotFoundAndStagesNothing) {
  TestDocument test = MakeTestDocument("docs", "d", {});
  test.document.prefix_id = "777";
  const absl::Status status = Stage(test, RandomRevision());
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(FieldOf(status), "prefix_id");
  EXPECT_EQ(catalog_->Verify().value().num_leftovers, 0);
}

TEST_F(DocumentPutTest, RecordThatChangesIsSeenWithTheCommit) {
  Put("a", {1});
  TestDocument test = MakeTestDocument("docs", "b", {1});
  test.chunks[0].title = "new heading";
  ASSERT_TRUE(Stage(test, "00000000000000aa").ok());
  const std::vector<std::string> ids = {TestChunkId(1)};
  EXPECT_EQ(catalog_->ResolveChunks("docs", ids).value()[0]->title, "heading");
  ASSERT_TRUE(CommitDocument(*server_, test.document, "00000000000000aa").ok());
  EXPECT_EQ(catalog_->ResolveChunks("docs", ids).value()[0]->title, "new heading");
  EXPECT_EQ(Ask({"EXISTS", NamespaceKeys(root_, "docs").changes("00000000000000aa")}).integer, 0);
}

TEST_F(DocumentPutTest, LongRecordsGoInBatchesOfTheirOwn) {
  TestDocument test = MakeTestDocument("docs", "d", {1, 2, 3});
  for (ChunkRecord& chunk : test.chunks) chunk.text = std::string(kMaxChunkTextBytes, 'x');
  ASSERT_TRUE(Stage(test, "00000000000000aa").ok());
  EXPECT_EQ(Ask({"LLEN", NamespaceKeys(root_, "docs").uses("00000000000000aa")}).integer, 3);
  ASSERT_TRUE(CommitDocument(*server_, test.document, "00000000000000aa").ok());
  EXPECT_EQ(catalog_->GetDocument("docs", "d").value().chunks, test.document.chunks);
}

TEST_F(DocumentPutTest, ReadersSeeTheOldOrTheNewVersionOfALargeDocument) {
  constexpr int kChunks = 600;  // several batches
  Put(ManyChunks("d", 0, kChunks));
  std::vector<std::string> ids;
  for (int i = 0; i < 2 * kChunks; ++i) ids.push_back(TestChunkId(i));
  std::atomic<bool> is_done = false;
  std::thread writer([&] {
    const auto catalog = OpenRedisCatalog(SharedRedis().MakeClient(), root_, &clock_);
    for (int round = 1; round <= 6; ++round) {
      const TestDocument test = ManyChunks("d", round % 2 * kChunks, kChunks);
      EXPECT_TRUE(catalog->PutDocument(test.document, test.chunks).ok());
    }
    is_done = true;
  });
  while (!is_done) {
    const auto records = catalog_->ResolveChunks("docs", ids).value();
    const bool is_old = records[0].has_value();
    for (int i = 0; i < 2 * kChunks; ++i) ASSERT_EQ(records[i].has_value(), is_old == (i < kChunks)) << i;
    const Document document = catalog_->GetDocument("docs", "d").value();
    ASSERT_EQ(document.chunks.size(), static_cast<size_t>(kChunks));
    ASSERT_TRUE(document.chunks.front().chunk_id == ids[0] ||
                document.chunks.front().chunk_id == ids[kChunks]);
  }
  writer.join();
}

}  // namespace
}  // namespace cacheclip
