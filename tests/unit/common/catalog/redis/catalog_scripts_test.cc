#include "common/catalog/redis/catalog_scripts.h"

#include <string>
#include <vector>

#include "common/catalog/redis/document_put.h"
#include "common/catalog/redis/document_removal.h"
#include "common/catalog/redis/record_codec.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

constexpr char kRevision[] = "00000000000000aa";

class CatalogScriptsTest : public RedisCatalogTest {
 protected:
  // The error code that a script answers with, "" if none.
  std::string CodeOf(const RedisScript& script, const std::vector<std::string>& keys,
                     const std::vector<std::string>& args) {
    return RedisErrorCode(client_->RunScript(script, keys, args).status());
  }
  // The arguments of a first batch with one chunk.
  RedisReply StageOne(const TestDocument& test, const std::string& index = "0") {
    std::vector<std::string> names = {
        keys_.info(),    keys_.prefixes(),      keys_.staged(),          keys_.live(),
        keys_.orphans(), keys_.uses(kRevision), keys_.changes(kRevision)};
    const std::vector<std::string> ids = {test.chunks[0].chunk_id};
    AddBucketKeys(keys_, ids, BucketKinds::kReferencesAndChunks, names);
    const std::vector<std::string> args = {kRevision,
                                           EncodeTime(clock_.Now()),
                                           EncodeTime(test.document.expire_time),
                                           test.document.prefix_id,
                                           index,
                                           PackUses(test.document.chunks),
                                           ids[0],
                                           PackChunk(test.chunks[0])};
    return client_->RunScript(CatalogScripts::Get().stage, names, args).value();
  }

  const NamespaceKeys keys_{root_, "docs"};
  const CatalogScripts& scripts_ = CatalogScripts::Get();
};

TEST_F(CatalogScriptsTest, EveryScriptOfANamespaceAsksWhetherItExists) {
  const NamespaceKeys nobody(root_, "nobody");
  std::vector<std::string> keys(8, nobody.live());
  keys[0] = nobody.info();
  const std::vector<std::string> args(6, "0");
  for (const RedisScript* script :
       {&scripts_.put_prefix, &scripts_.get_prefix, &scripts_.stage, &scripts_.commit, &scripts_.drop,
        &scripts_.unlink, &scripts_.list_orphans, &scripts_.adopt_orphan, &scripts_.resolve, &scripts_.pin,
        &scripts_.unpin, &scripts_.list_pins})
    EXPECT_EQ(CodeOf(*script, keys, args), CatalogScripts::kNoNamespace) << script->source;
}

TEST_F(CatalogScriptsTest, RegistryIsBounded) {
  const std::vector<std::string> keys = {RegistryKey(root_)};
  EXPECT_EQ(CodeOf(scripts_.register_namespace, keys, {"third", "now", "2"}), CatalogScripts::kTooMany);
  EXPECT_EQ(CodeOf(scripts_.register_namespace, keys, {"docs", "now", "2"}), "");
}

TEST_F(CatalogScriptsTest, BatchSentTwiceIsStagedOnce) {
  const TestDocument test = MakeTestDocument("docs", "d", {1});
  const RedisReply first = StageOne(test), second = StageOne(test);
  EXPECT_EQ(first.elements[2], second.elements[2]);  // both times the chunk is to be held
  EXPECT_GT(second.elements[0].integer, first.elements[0].integer);
  EXPECT_EQ(Ask({"LLEN", keys_.uses(kRevision)}).integer, 1);
  EXPECT_EQ(Ask({"ZCARD", keys_.references("00")}).integer, 1);
  EXPECT_EQ(first.elements[2].elements.size(), 1u);
}

TEST_F(CatalogScriptsTest, CommitSentTwiceIsDoneOnce) {
  const TestDocument test = MakeTestDocument("docs", "d", {1});
  ASSERT_TRUE(StageDocument(*server_, test.document, test.chunks, kRevision).ok());
  EXPECT_EQ(CommitDocument(*server_, test.document, kRevision).value(), "");
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(CommitDocument(*server_, test.document, kRevision).value(), "");
  EXPECT_EQ(catalog_->GetDocument("docs", "d").value().updated_time, clock_.Now() - absl::Hours(1));
}

TEST_F(CatalogScriptsTest, WriteThatWasGivenUpIsGone) {
  const TestDocument test = MakeTestDocument("docs", "d", {1});
  ASSERT_TRUE(StageDocument(*server_, test.document, test.chunks, kRevision).ok());
  const std::vector<std::string> keys = {keys_.staged(), keys_.dead()};
  const auto abandon = [&](absl::Time limit) {
    const std::vector<std::string> args = {kRevision, EncodeTime(limit)};
    return client_->RunScript(scripts_.abandon, keys, args).value().integer;
  };
  EXPECT_EQ(abandon(clock_.Now()), 0);  // written to just now
  EXPECT_EQ(abandon(clock_.Now() + absl::Seconds(1)), 1);
  EXPECT_EQ(abandon(clock_.Now() + absl::Seconds(1)), 0);
  EXPECT_TRUE(absl::IsAborted(CommitDocument(*server_, test.document, kRevision).status()));
  EXPECT_FALSE(Resolves(1));
}

TEST_F(CatalogScriptsTest, BatchThatSomebodyElseUnlinkedIsNotTakenForTheNext) {
  std::vector<int> numbers;
  for (int i = 0; i < 300; ++i) numbers.push_back(i);  // two batches
  Put("d", numbers);
  const std::string revision = DropDocument(*server_, "docs", "d", kIfLiving).value().value();
  std::vector<std::string> keys = {keys_.info(),           keys_.dead(),      keys_.orphans(),
                                   keys_.pins(),           keys_.pin_times(), keys_.uses(revision),
                                   keys_.changes(revision)};
  std::vector<std::string> args = {revision, "3", TestChunkId(299)};  // as if there had been three
  AddBucketKeys(keys_, std::span(args).last(1), BucketKinds::kReferencesAndChunks, keys);
  EXPECT_TRUE(client_->RunScript(scripts_.unlink, keys, args).value().is_nil());
  EXPECT_EQ(Ask({"LLEN", keys_.uses(revision)}).integer, 2);
  EXPECT_EQ(catalog_->SweepExpired().value().released_chunk_ids.size(), 300u);
}

TEST_F(CatalogScriptsTest, ReleaseLeavesANewerHoldAlone) {
  const std::vector<std::string> keys = {HoldersKey(root_, TestChunkId(1))};
  const auto release = [&](const std::string& space, const std::string& sequence) {
    const std::vector<std::string> args = {space, sequence};
    return client_->RunScript(scripts_.release, keys, args).value().integer;
  };
  EXPECT_EQ(release("docs", "9"), 1);  // nobody holds it
  Ask({"ZADD", keys[0], "10", "docs"});
  Ask({"ZADD", keys[0], "3", "other"});
  EXPECT_EQ(release("docs", "9"), 0);
  EXPECT_EQ(release("other", "3"), 0);  // docs still does
  EXPECT_EQ(release("docs", "10"), 1);
  EXPECT_EQ(release("docs", "10"), 1);  // asked again after a crash
}

TEST_F(CatalogScriptsTest, OrphanOfALaterTimeIsNotForgotten) {
  Ask({"HSET", keys_.orphans(), TestChunkId(1), "7", TestChunkId(2), "8"});
  const std::vector<std::string> keys = {keys_.orphans()};
  const std::vector<std::string> args = {"7", TestChunkId(1), TestChunkId(2), TestChunkId(3)};
  ASSERT_TRUE(client_->RunScript(scripts_.forget_orphans, keys, args).ok());
  EXPECT_EQ(Ask({"HEXISTS", keys_.orphans(), TestChunkId(1)}).integer, 0);
  EXPECT_EQ(Ask({"HEXISTS", keys_.orphans(), TestChunkId(2)}).integer, 1);
}

TEST_F(CatalogScriptsTest, UsedChunkIsNoOrphan) {
  Put("d", {1});
  const std::vector<std::string> keys = {keys_.info(), keys_.orphans(), keys_.references("00")};
  const std::vector<std::string> used = {TestChunkId(1), "0"}, unused = {TestChunkId(2), "90"};
  EXPECT_EQ(client_->RunScript(scripts_.adopt_orphan, keys, used).value().integer, 0);
  EXPECT_EQ(client_->RunScript(scripts_.adopt_orphan, keys, unused).value().integer, 1);
  EXPECT_EQ(Ask({"HGET", keys_.info(), "sequence"}).text, "90");
  EXPECT_EQ(catalog_->SweepExpired().value().released_chunk_ids, std::vector<std::string>{TestChunkId(2)});
}

}  // namespace
}  // namespace cacheclip
